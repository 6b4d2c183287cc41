import { makeCut } from '../actions/model.js';
import { set } from '../actions/settings.js';
import * as format from '../format.js';
import type { Change, Scope } from '../protocol.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { Segmented, Slider, TaskProgress } from './controls.js';
import { LazyPanel } from './lazy.js';
import { MoreSettings } from './limits.js';
import { Measure, MeasureNeeds, Times } from './measure.js';
import { ScoresPanel } from './scores.js';
import { SensitivityPanel } from './sensitivity.js';
import { Step } from './step.js';
import { Told } from './told.js';
import { ZerosPanel } from './zeros.js';

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
        <Told message={problem} />
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

export function CutStep() {
  const opened = store.model.value;
  if (!opened) return null;
  const busy = store.busy.value;
  const current = store.cutIsCurrent.value;
  const stale = store.cut.value !== undefined && !current;
  const { scope, targetKind, amount } = store.settings.value;
  const prunable = opened.groups.some((group) => group.prunable);
  const possible = prunable && store.planOptions.value !== undefined && !store.unscored.value;
  return (
    <Step id="cut" state={current ? 'done' : 'open'} note={current ? text.cut.done : undefined}>
      <div class="choices">
        <Measure />
        <MeasureNeeds />
        <Segmented<Scope>
          label={text.cut.scope}
          name="scope"
          value={scope}
          options={text.cut.scopes}
          titles={text.cut.scopesMore}
          disabled={busy}
          change={(value) => set({ scope: value })}
        />
        <Segmented<store.TargetKind>
          label={text.cut.target}
          name="target"
          value={targetKind}
          options={text.cut.targets}
          disabled={busy}
          change={(value) => set({ targetKind: value })}
        />
        <Times />
      </div>
      <Slider
        label={text.cut.amount[targetKind]}
        value={amount}
        disabled={busy || !prunable}
        change={(value) => set({ amount: value })}
      />
      {possible && <EstimateLine />}
      <MoreSettings />
      <div class="actions">
        <button
          type="button"
          class="button primary"
          disabled={busy || !possible || current || store.planProblem.value !== undefined}
          onClick={() => void makeCut()}
        >
          {text.cut.button[targetKind](format.percent(amount))}
        </button>
        {stale && <p class="hint">{text.cut.stale}</p>}
      </div>
      <TaskProgress name="cut" />
      <div class="panels">
        <ScoresPanel />
        <LazyPanel view="layer" />
        <LazyPanel view="agreement" />
        <LazyPanel view="scopes" />
        <SensitivityPanel />
        <ZerosPanel />
      </div>
    </Step>
  );
}
