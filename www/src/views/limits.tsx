import { useSignal } from '@preact/signals';
import { set } from '../actions/settings.js';
import type { Normalizer, Reduction, Schedule } from '../protocol.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { Choice, TextField } from './measure.js';
import { SettingField } from './setting.js';

function Limits() {
  const busy = store.busy.value;
  const own = store.settings.value;
  const fitting = own.multiple === null ? '1' : String(own.multiple);
  const known = fitting in text.cut.hardwares;
  return (
    <fieldset class="settings" disabled={busy}>
      <legend>{text.cut.limits}</legend>
      <div class="fields">
        <SettingField of="floor" label={text.cut.floor} unit={text.cut.floorUnit} min={0} />
        <SettingField of="minRatio" label={text.cut.minRatio} unit={text.cut.minRatioUnit} min={0} max={100} step="any" hundred />
        <SettingField of="maxRatio" label={text.cut.maxRatio} unit={text.cut.maxRatioUnit} min={0} max={100} step="any" hundred />
        <SettingField of="multiple" label={text.cut.multiple} unit={text.cut.multipleUnit} min={1} />
        <Choice
          label={text.cut.hardware}
          value={known ? fitting : 'own'}
          options={known ? text.cut.hardwares : { ...text.cut.hardwares, own: text.cut.hardwareOwn }}
          disabled={busy}
          change={(value) => set({ multiple: value === '1' ? null : Number(value) })}
        />
      </div>
      <label class="tick">
        <input type="checkbox" checked={own.heads} onChange={(event) => set({ heads: event.currentTarget.checked })} />
        {text.cut.heads}
      </label>
    </fieldset>
  );
}

function Way() {
  const busy = store.busy.value;
  const own = store.settings.value;
  const automatic = { own: text.cut.asCriterion };
  return (
    <>
      <fieldset class="settings" disabled={busy}>
        <legend>{text.cut.way}</legend>
        <div class="fields">
          <SettingField of="planSteps" label={text.cut.planSteps} unit={text.cut.planStepsUnit} min={1} max={1000} />
          <Choice<Schedule>
            label={text.cut.schedule}
            value={own.schedule}
            options={text.cut.schedules}
            disabled={busy || own.planSteps < 2}
            change={(schedule) => set({ schedule })}
          />
          <SettingField of="seed" label={text.cut.seed} min={0} />
        </div>
      </fieldset>
      <fieldset class="settings" disabled={busy}>
        <legend>{text.cut.scoring2}</legend>
        <div class="fields">
          <Choice<Reduction | 'own'>
            label={text.cut.reduction}
            value={own.reduction ?? 'own'}
            options={{ ...automatic, ...text.cut.reductions }}
            disabled={busy}
            change={(value) => set({ reduction: value === 'own' ? null : value })}
          />
          <Choice<Normalizer | 'own'>
            label={text.cut.normalizer}
            value={own.normalizer ?? 'own'}
            options={{ ...automatic, ...text.cut.normalizers }}
            disabled={busy}
            change={(value) => set({ normalizer: value === 'own' ? null : value })}
          />
        </div>
      </fieldset>
    </>
  );
}

const list = (words: string): string[] =>
  words
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');

/** `a* = 0.3, b = 0.5`; `undefined` if it is not written like that. */
function ratios(words: string): Record<string, number> | undefined {
  const pairs = list(words).map((pair): [string, number] => {
    const at = pair.lastIndexOf('=');
    return [pair.slice(0, Math.max(0, at)).trim(), at < 0 ? Number.NaN : Number(pair.slice(at + 1))];
  });
  const fine = pairs.every(([pattern, ratio]) => pattern !== '' && ratio >= 0 && ratio < 1);
  return fine ? Object.fromEntries(pairs) : undefined;
}

function Exceptions() {
  const busy = store.busy.value;
  const own = store.settings.value;
  const bad = useSignal(false);
  const shown = Object.entries(own.groupRatios).map(([pattern, ratio]) => `${pattern} = ${ratio}`);
  return (
    <fieldset class="settings" disabled={busy}>
      <legend>{text.cut.exceptions}</legend>
      <div class="fields fields-wide">
        <TextField
          label={text.cut.locks}
          help={text.cut.locksHelp}
          value={own.locks.join(', ')}
          disabled={busy}
          change={(value) => set({ locks: list(value) })}
        />
        <TextField
          label={text.cut.sets}
          help={text.cut.setsHelp}
          value={own.sets.map((patterns) => patterns.join(', ')).join('; ')}
          disabled={busy}
          change={(value) => set({ sets: value.split(';').map(list).filter((patterns) => patterns.length > 0) })}
        />
        <TextField
          label={text.cut.ratios}
          help={text.cut.ratiosHelp}
          wrong={bad.value ? text.cut.ratiosBad : undefined}
          value={shown.join(', ')}
          disabled={busy}
          change={(value) => {
            const found = ratios(value);
            bad.value = found === undefined;
            if (found) set({ groupRatios: found });
          }}
        />
      </div>
    </fieldset>
  );
}

/** Settings that most cuts do without. */
export function MoreSettings() {
  return (
    <details class="more">
      <summary>{text.cut.more}</summary>
      <div class="more-body">
        <Limits />
        <Exceptions />
        <Way />
      </div>
    </details>
  );
}
