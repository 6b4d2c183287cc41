import { fineTuneAndEvaluate } from '../actions/run.js';
import { setPaused } from '../actions/session.js';
import { set } from '../actions/settings.js';
import { canNotify, setNotifies } from '../actions/tell.js';
import * as format from '../format.js';
import type { TuneLoss, TuneProgress } from '../protocol.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { Segmented, StopButton } from './controls.js';
import { Curve } from './curve.js';
import { Recover, RecoverLive, RecoverTable } from './recover.js';
import { SettingField } from './setting.js';
import { Step } from './step.js';
import { History, TogetherFields, TogetherIdle, Way } from './together.js';

function Fields() {
  return (
    <div class="fields">
      <SettingField of="epochs" label={text.tune.epochs} min={0} max={1000} />
      <SettingField of="learningRate" label={text.tune.learningRate} min={0} max={10} step="any" />
      <SettingField of="batch" label={text.tune.batch} min={1} max={4096} />
    </div>
  );
}

const LOSSES = ['auto', 'distill', 'cross-entropy'] as const;

/** What is learnt. */
function Teacher() {
  const { teacher } = text;
  return (
    <>
      <Segmented
        label={teacher.title}
        name="loss"
        value={store.settings.value.loss}
        options={Object.fromEntries(LOSSES.map((loss) => [loss, teacher.choices[loss]])) as Record<TuneLoss, string>}
        disabled={store.busy.value}
        change={(loss) => set({ loss })}
      />
      <p class="hint">{teacher.more}</p>
    </>
  );
}

/** What is learnt where there is nothing but images. */
function Unlabelled() {
  return store.data.value?.targets ? null : <p class="hint">{text.teacher.unlabelled}</p>;
}

/** What was learnt in the last run, and why. */
function Learnt() {
  const { teacher, loss_kind } = store.learnt.value ?? {};
  if (!teacher) return null;
  const words = loss_kind === 'distill' ? text.teacher.learnt : text.teacher.not;
  return <p class="hint">{words(format.fixed(teacher.loss, 2), format.fixed(teacher.guessing, 2))}</p>;
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
  const { step, steps, epoch, epochs, loss, learning_rate, eta, stretch } = props.progress;
  return (
    <>
      <progress value={step} max={steps} aria-label={text.tasks.tune} />
      <dl class="meters">
        {stretch && <Meter name={text.together.now} value={text.together.what(stretch.what)} />}
        {stretch && <Meter name={text.card.macs} value={format.count(stretch.macs)} />}
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
      {canNotify() && (
        <label class="tick">
          <input
            type="checkbox"
            checked={store.notifies.value}
            onChange={(event) => void setNotifies(event.currentTarget.checked)}
          />
          <span>{text.tell.ask}</span>
        </label>
      )}
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
      {state === 'stopped' && store.checkpoint.value && !store.isTogether.value && (
        <button type="button" class="button" disabled={busy} onClick={() => void fineTuneAndEvaluate(true)}>
          {text.tune.resume}
        </button>
      )}
      {nothing && <p class="hint">{text.tune.nothing}</p>}
      {state === 'stopped' && <p class="hint">{text.tune.stopped}</p>}
    </div>
  );
}

function Body(props: { running: boolean }) {
  const progress = store.tuneProgress.value;
  const together = store.settings.value.together !== null;
  const points = store.lossPoints.value;
  return (
    <>
      {store.tune.value === 'none' && !together && <p class="lead">{text.tune.lead}</p>}
      <Way />
      {together ? <TogetherFields /> : <Recover />}
      {!together && <Fields />}
      {!together && (store.data.value?.labelled ? <Teacher /> : <Unlabelled />)}
      <RecoverTable />
      <Learnt />
      {points.length > 1 && <Curve points={points} steps={progress?.stretch ? 0 : (progress?.steps ?? 0)} />}
      <History />
      {props.running && <RecoverLive />}
      {props.running && progress && <Live progress={progress} />}
      {props.running ? <Running /> : together ? <TogetherIdle /> : <Idle />}
    </>
  );
}

export function TuneStep() {
  const together = store.settings.value.together !== null;
  const data = store.data.value;
  // Methods that prune and train together learn classes of images; a cut model learns from the uncut one where there are none.
  const teaches = data !== undefined && (data.labelled || !together);
  const ready = teaches && (together || store.cut.value !== undefined);
  const state = store.tune.value;
  const running = store.task.value?.name === 'tune' || store.task.value?.name === 'train';
  const progress = store.tuneProgress.value;
  const note = state === 'finished' && progress;
  const steps = note && (store.isTogether.value ? (progress.stretch?.taken ?? 0) : progress.steps);
  return (
    <Step
      id="tune"
      state={!ready ? 'waiting' : state === 'finished' || state === 'stopped' ? 'done' : 'open'}
      note={!ready ? (together ? text.tune.needsLabels : text.tune.needs) : note ? text.tune.done(format.exactly(steps || 0), format.seconds(progress.seconds)) : undefined}
    >
      {ready && <Body running={running} />}
      {!ready && teaches && <Way />}
    </Step>
  );
}
