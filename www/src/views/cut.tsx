import { makeCut } from '../actions/model.js';
import * as format from '../format.js';
import type { Change, Criterion, Scope } from '../protocol.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { NumberField, Segmented, Slider, TaskProgress } from './controls.js';
import { Step } from './step.js';

function Moves(props: { name: string; change: Change; show(value: number): string }) {
  const { before, after } = props.change;
  return (
    <span class="moves">
      {props.show(before)} → <b>{props.show(after)}</b> {props.name}
    </span>
  );
}

function EstimateLine() {
  const problem = store.planProblem.value;
  if (problem) {
    return (
      <p class="estimate problem" role="alert">
        {problem}
      </p>
    );
  }
  const shown = store.shown.value;
  if (!shown) return <p class="estimate quiet-text">{text.cut.planning}</p>;
  return (
    <p class="estimate" aria-live="polite">
      <Moves name={text.card.macs} change={shown.macs} show={format.count} />
      <Moves name={text.card.parameters.toLowerCase()} change={shown.parameters} show={format.count} />
      <Moves name="" change={shown.bytes} show={format.bytes} />
    </p>
  );
}

function MoreSettings() {
  const busy = store.busy.value;
  return (
    <details class="more">
      <summary>{text.cut.more}</summary>
      <div class="fields">
        <NumberField
          label={text.cut.floor}
          unit={text.cut.floorUnit}
          value={store.floor.value}
          min={1}
          optional
          disabled={busy}
          change={(value) => (store.floor.value = value)}
        />
        <NumberField
          label={text.cut.multiple}
          unit={text.cut.multipleUnit}
          value={store.multiple.value}
          min={1}
          optional
          disabled={busy}
          change={(value) => (store.multiple.value = value)}
        />
        <NumberField
          label={text.cut.seed}
          value={store.seed.value}
          min={0}
          disabled={busy}
          change={(value) => (store.seed.value = value ?? 0)}
        />
      </div>
    </details>
  );
}

export function CutStep() {
  const opened = store.model.value;
  if (!opened) return null;
  const busy = store.busy.value;
  const current = store.cutIsCurrent.value;
  const stale = store.cut.value !== undefined && !current;
  const kind = store.targetKind.value;
  const prunable = opened.groups.some((group) => group.prunable);
  return (
    <Step id="cut" state={current ? 'done' : 'open'} note={current ? text.cut.done : undefined}>
      <div class="choices">
        <Segmented<Criterion>
          label={text.cut.criterion}
          name="criterion"
          value={store.criterion.value}
          options={text.cut.criteria}
          titles={text.cut.criteriaMore}
          disabled={busy}
          change={(value) => (store.criterion.value = value)}
        />
        <Segmented<Scope>
          label={text.cut.scope}
          name="scope"
          value={store.scope.value}
          options={text.cut.scopes}
          disabled={busy}
          change={(value) => (store.scope.value = value)}
        />
        <Segmented<'ratio' | 'macs'>
          label={text.cut.target}
          name="target"
          value={kind}
          options={text.cut.targets}
          disabled={busy}
          change={(value) => (store.targetKind.value = value)}
        />
      </div>
      <Slider label={text.cut.amount[kind]} value={store.amount} disabled={busy || !prunable} />
      <EstimateLine />
      <MoreSettings />
      <div class="actions">
        <button
          type="button"
          class="button primary"
          disabled={busy || !prunable || current || store.planProblem.value !== undefined}
          onClick={() => void makeCut()}
        >
          {text.cut.button[kind](format.percent(store.amount.value))}
        </button>
        {stale && <p class="hint">{text.cut.stale}</p>}
      </div>
      <TaskProgress name="cut" />
    </Step>
  );
}
