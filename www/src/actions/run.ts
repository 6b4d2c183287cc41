/** Evaluating and fine-tuning. */

import { batch } from '@preact/signals';
import type { Progress, TuneOptions, Which } from '../protocol.js';
import * as store from '../store.js';
import { client, runTask } from './session.js';

export async function evaluate(which: Which): Promise<boolean> {
  const evaluation = await runTask(
    'evaluate',
    (progress) => client.call('evaluate', { which, limit: null }, { progress }),
    which,
  );
  if (!evaluation) return false;
  store.evaluations.value = { ...store.evaluations.value, [which]: evaluation };
  return true;
}

/** The models that can be evaluated now, in order. */
export function candidates(): Which[] {
  const all: Which[] = ['original'];
  if (store.cut.value) all.push('cut');
  if (store.result.value === 'tuned') all.push('tuned');
  return all;
}

/** Evaluates what has no result yet; everything again when nothing is missing. */
export async function evaluateAll(): Promise<void> {
  const all = candidates();
  const missing = all.filter((which) => !store.evaluations.value[which]);
  for (const which of missing.length > 0 ? missing : all) {
    if (!(await evaluate(which))) return;
  }
}

function onTuneProgress(progress: Progress): void {
  if (progress.task === 'recover') store.stage.value = progress;
  if (progress.task !== 'tune') return;
  store.stage.value = undefined;
  batch(() => {
    store.tuneProgress.value = progress;
    store.lossPoints.value = [
      ...store.lossPoints.value,
      { step: progress.step, loss: progress.loss, validation: progress.validation_top1 },
    ];
  });
}

/** The loss by its name in a recipe. */
export const lossOf = (distill: boolean): TuneOptions['loss'] => (distill ? 'distill' : 'cross-entropy');

/** Fine-tunes the cut model. `resume`: goes on from the last checkpoint. */
export async function fineTune(resume = false): Promise<boolean> {
  const { epochs, learningRate, batch: images, seed, recover, distill } = store.settings.value;
  // A checkpoint lies behind the stages.
  const stages = resume ? [] : recover;
  const options = { epochs, learning_rate: learningRate, batch: images, seed, resume, recover: stages, loss: lossOf(distill) };
  batch(() => {
    if (!resume) {
      store.lossPoints.value = [];
      store.stages.value = [];
      store.beforeStages.value = null;
      store.checkpoint.value = undefined;
    }
    store.tuneProgress.value = undefined;
    store.tune.value = 'running';
    const { tuned: _, ...others } = store.evaluations.value;
    store.evaluations.value = others;
  });
  const summary = await runTask('tune', () => client.call('tune', options, { progress: onTuneProgress }));
  store.stage.value = undefined;
  if (summary) {
    store.tune.value = summary.finished ? 'finished' : 'stopped';
    if (!resume) {
      store.stages.value = summary.stages;
      store.beforeStages.value = summary.before_top1;
    }
  } else if (store.engine.value.state === 'ready') store.tune.value = 'none';
  return summary?.finished ?? false;
}

/** Fine-tunes, and then says what it brought. */
export async function fineTuneAndEvaluate(resume = false): Promise<void> {
  await fineTune(resume);
  if (store.result.value === 'tuned' && store.evaluations.value.original) await evaluate('tuned');
}
