import * as store from '../store.js';
import { text } from '../strings.js';
import { StopButton } from './controls.js';

const STAGES: store.SampleStage[] = ['open', 'evaluate_original', 'cut', 'evaluate_cut', 'tune', 'evaluate_tuned'];

/** How far along the stage is, from 0 to 1. */
function within(stage: store.SampleStage): number {
  const running = store.task.value;
  if (stage === 'tune') {
    const progress = store.tuneProgress.value;
    return progress ? progress.step / Math.max(1, progress.steps) : 0;
  }
  return running && running.total > 0 ? running.done / running.total : 0;
}

/** Says where the sample's flow is, and what can be done once it is through. */
export function SampleBanner() {
  const stage = store.sampleStage.value;
  if (!stage) return null;
  if (stage === 'done') {
    return (
      <div class="banner banner-done" role="status">
        <p>{text.sample.done}</p>
        <button type="button" class="button link" onClick={() => (store.sampleStage.value = undefined)}>
          {text.sample.close}
        </button>
      </div>
    );
  }
  const number = STAGES.indexOf(stage) + 1;
  return (
    <div class="banner">
      <p role="status">
        <span class="quiet-text">{text.sample.count(number, STAGES.length)}</span> {text.sample.stage(stage)}
      </p>
      <progress value={number - 1 + within(stage)} max={STAGES.length} aria-label={text.sample.stage(stage)} />
      <StopButton />
    </div>
  );
}
