import { candidates, evaluateAll } from '../actions/run.js';
import * as format from '../format.js';
import type { Evaluation, Which } from '../protocol.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { StopButton } from './controls.js';
import { LazyPanel } from './lazy.js';
import { Step } from './step.js';
import { SweepPanel } from './sweep.js';

function Detail(props: { evaluation: Evaluation }) {
  const { loss, images, milliseconds_per_image } = props.evaluation;
  return (
    <span class="result-detail">
      <span>
        {text.evaluate.loss} {format.fixed(loss, 3)}
      </span>
      <span>
        {format.milliseconds(milliseconds_per_image)} {text.evaluate.perImage}
      </span>
      <span>
        {format.exactly(images)} {text.evaluate.images}
      </span>
    </span>
  );
}

function Row(props: { which: Which }) {
  const evaluation = store.evaluations.value[props.which];
  const running = store.task.value;
  const mine = running?.name === 'evaluate' && running.which === props.which;
  const share = (evaluation?.top1 ?? 0) * 100;
  return (
    <li class={`result result-${props.which}`}>
      <span class="result-name">{text.which[props.which]}</span>
      <b class="result-top1">{evaluation && !mine ? format.right(evaluation.top1) : '\u2013'}</b>
      {mine ? (
        <progress
          aria-label={text.which[props.which]}
          {...(running.total > 0 ? { value: running.done, max: running.total } : {})}
        />
      ) : (
        <svg class="bar" width="100%" height="10" aria-hidden="true">
          <rect class="bar-ground" width="100%" height="10" />
          <rect class="bar-top1" width={`${share}%`} height="10" />
        </svg>
      )}
      {mine ? (
        <span class="result-detail">
          {format.exactly(running.done)} / {format.exactly(running.total)} {text.evaluate.images}
        </span>
      ) : evaluation ? (
        <Detail evaluation={evaluation} />
      ) : (
        <span class="result-detail">{text.evaluate.waiting}</span>
      )}
    </li>
  );
}

function label(rows: readonly Which[], missing: number): string {
  if (missing === 0) return text.evaluate.again;
  if (rows.length === 1) return text.evaluate.before;
  return missing === rows.length ? text.evaluate.both : text.evaluate.button;
}

export function EvaluateStep() {
  const data = store.data.value;
  const ready = data !== undefined && (data.labelled || data.targets);
  const rows = candidates();
  const missing = rows.filter((which) => !store.evaluations.value[which]).length;
  const running = store.task.value?.name === 'evaluate';
  if (!ready) {
    return (
      <Step id="evaluate" state="waiting" note={data ? text.evaluate.needsLabels : text.evaluate.needsData}>
        <div class="panels">
          {data && <LazyPanel view="compare" />}
          <LazyPanel view="latency" />
        </div>
      </Step>
    );
  }
  return (
    <Step id="evaluate" state={missing === 0 && rows.length > 1 ? 'done' : 'open'}>
      <ul class="results">
        {rows.map((which) => (
          <Row key={which} which={which} />
        ))}
      </ul>
      <div class="actions">
        <button
          type="button"
          class={missing > 0 ? 'button primary' : 'button'}
          disabled={store.busy.value}
          onClick={() => void evaluateAll()}
        >
          {label(rows, missing)}
        </button>
        {running && <StopButton />}
      </div>
      <div class="panels">
        <LazyPanel view="compare" />
        <SweepPanel />
        <LazyPanel view="latency" />
      </div>
    </Step>
  );
}
