import { fineTuneAndEvaluate } from '../actions/run.js';
import { setPaused } from '../actions/session.js';
import { set } from '../actions/settings.js';
import * as format from '../format.js';
import type { TuneProgress } from '../protocol.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { NumberField, StopButton } from './controls.js';
import { Curve } from './curve.js';
import { Recover, RecoverLive, RecoverTable } from './recover.js';
import { Step } from './step.js';

function Fields() {
  const busy = store.busy.value;
  const own = store.settings.value;
  return (
    <div class="fields">
      <NumberField
        label={text.tune.epochs}
        value={own.epochs}
        min={0}
        max={1000}
        disabled={busy}
        change={(value) => set({ epochs: value ?? 0 })}
      />
      <NumberField
        label={text.tune.learningRate}
        value={own.learningRate}
        min={0}
        max={10}
        step="any"
        disabled={busy}
        change={(value) => set({ learningRate: value ?? 0 })}
      />
      <NumberField
        label={text.tune.batch}
        value={own.batch}
        min={1}
        max={4096}
        disabled={busy}
        change={(value) => set({ batch: value ?? 1 })}
      />
      <label class="tick">
        <input type="checkbox" checked={own.distill} disabled={busy} onChange={() => set({ distill: !own.distill })} />
        <span>
          {text.tune.distill[0]}
          <small>{text.tune.distill[1]}</small>
        </span>
      </label>
    </div>
  );
}

function Meter(props: { name: string; value: string }) {
  return (
    <div class="meter">
      <dt>{props.name}</dt>
      <dd>{props.value}</dd>
    </div>
  );
}

function Live(props: { progress: TuneProgress }) {
  const { step, steps, epoch, epochs, loss, learning_rate, eta } = props.progress;
  return (
    <>
      <progress value={step} max={steps} aria-label={text.tasks.tune} />
      <dl class="meters">
        <Meter name={text.tune.epoch} value={`${epoch} / ${epochs}`} />
        <Meter name={text.tune.step} value={`${format.exactly(step)} / ${format.exactly(steps)}`} />
        <Meter name={text.tune.loss} value={format.fixed(loss, 3)} />
        <Meter name={text.tune.rate} value={learning_rate.toPrecision(2)} />
        <Meter name={text.tune.eta} value={eta === null ? '\u2013' : format.seconds(eta)} />
      </dl>
    </>
  );
}

function Running() {
  const running = store.task.value;
  const paused = running?.paused ?? false;
  return (
    <div class="actions">
      <button type="button" class="button" disabled={running?.stopping ?? true} onClick={() => setPaused(!paused)}>
        {paused ? text.tune.goOn : text.tune.pause}
      </button>
      <StopButton />
      {paused && <p class="hint">{text.tune.paused}</p>}
    </div>
  );
}

function Idle() {
  const busy = store.busy.value;
  const state = store.tune.value;
  const { epochs, recover } = store.settings.value;
  const nothing = epochs === 0 && recover.length === 0;
  const again = state !== 'none';
  const repair = again ? text.tune.repairAgain : text.tune.repair;
  const train = again ? text.tune.again : text.tune.start;
  return (
    <div class="actions">
      <button
        type="button"
        class={state === 'none' ? 'button primary' : 'button'}
        disabled={busy || nothing}
        onClick={() => void fineTuneAndEvaluate()}
      >
        {epochs === 0 ? repair : train}
      </button>
      {state === 'stopped' && store.checkpoint.value && (
        <button type="button" class="button" disabled={busy} onClick={() => void fineTuneAndEvaluate(true)}>
          {text.tune.resume}
        </button>
      )}
      {nothing && <p class="hint">{text.tune.nothing}</p>}
      {state === 'stopped' && <p class="hint">{text.tune.stopped}</p>}
    </div>
  );
}

export function TuneStep() {
  const ready = store.data.value?.labelled === true && store.cut.value !== undefined;
  const state = store.tune.value;
  const running = store.task.value?.name === 'tune';
  const progress = store.tuneProgress.value;
  if (!ready) return <Step id="tune" state="waiting" note={text.tune.needs} />;
  return (
    <Step
      id="tune"
      state={state === 'finished' || state === 'stopped' ? 'done' : 'open'}
      note={state === 'finished' && progress ? text.tune.done(format.exactly(progress.steps), format.seconds(progress.seconds)) : undefined}
    >
      {state === 'none' && <p class="lead">{text.tune.lead}</p>}
      <Recover />
      <Fields />
      <RecoverTable />
      {store.lossPoints.value.length > 1 && <Curve points={store.lossPoints.value} steps={progress?.steps ?? 0} />}
      {running && <RecoverLive />}
      {running && progress && <Live progress={progress} />}
      {running ? <Running /> : <Idle />}
    </Step>
  );
}
