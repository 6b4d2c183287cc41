import { goOnTogether, pruneTrain } from '../actions/run.js';
import { set } from '../actions/settings.js';
import * as format from '../format.js';
import type { Preset } from '../protocol.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { told } from './told.js';
import { Segmented } from './controls.js';
import { SettingField } from './setting.js';

/** What a person who switches begins with. */
const FIRST: Preset = 'gate-decorator';

/** Whether training comes after a cut, or makes it. */
export function Way() {
  return (
    <Segmented
      label={text.together.way}
      name="way"
      value={store.settings.value.together === null ? 'after' : 'together'}
      options={{ after: text.together.after, together: text.together.title }}
      disabled={store.busy.value}
      change={(way) => set({ together: way === 'together' ? FIRST : null })}
    />
  );
}

export function TogetherFields() {
  const busy = store.busy.value;
  const own = store.settings.value;
  const preset = own.together ?? FIRST;
  const [, paper, more] = text.together.presets[preset];
  return (
    <>
      <p class="hint">{text.together.lead}</p>
      <div class="fields">
        <label class="field">
          <span class="field-label">{text.together.method}</span>
          <select value={preset} disabled={busy} onChange={(event) => set({ together: event.currentTarget.value as Preset })}>
            {(Object.keys(text.together.presets) as Preset[]).map((name) => (
              <option key={name} value={name}>
                {text.together.presets[name][0]}
              </option>
            ))}
          </select>
        </label>
        <SettingField of="epochsBefore" label={text.together.before} min={0} max={1000} step="any" />
        <SettingField of="epochsAfter" label={text.together.afterCut} min={0} max={1000} step="any" />
        <SettingField of="batchTogether" label={text.tune.batch} min={1} max={4096} />
      </div>
      <label class="tick">
        <input type="checkbox" checked={own.short} disabled={busy} onChange={() => set({ short: !own.short })} />
        <span>
          {text.together.short[0]}
          <small>{text.together.short[1]}</small>
        </span>
      </label>
      <p class="hint">
        {more} <cite>{paper}</cite>
      </p>
    </>
  );
}

/** What stands in the way of a start, if anything does. */
function problem(): string | undefined {
  if (!store.planOptions.value || !store.TOGETHER_TARGETS.includes(store.settings.value.targetKind)) return text.together.target;
  return undefined;
}

export function TogetherIdle() {
  const busy = store.busy.value;
  const state = store.tune.value;
  const why = problem();
  const goesOn = store.isTogether.value && (state === 'broken' || state === 'stopped') && store.checkpoint.value;
  return (
    <div class="actions">
      {goesOn && (
        <button type="button" class="button primary" disabled={busy} onClick={() => void goOnTogether()}>
          {text.tune.resume}
        </button>
      )}
      <button
        type="button"
        class={state === 'none' ? 'button primary' : 'button'}
        disabled={busy || why !== undefined}
        onClick={() => void pruneTrain()}
      >
        {text.together.start}
      </button>
      {why && <p class="hint">{why}</p>}
      {state === 'broken' && <p class="hint">{text.together.broken}</p>}
    </div>
  );
}

/** Stages that are done: what each left of the network and of its accuracy. */
export function History() {
  const stages = store.history.value;
  if (stages.length === 0) return null;
  return (
    <div class="table-room">
      <table class="table">
        <caption>{text.together.stages}</caption>
        <thead>
          <tr>
            <th scope="col">{text.together.stage}</th>
            <th scope="col">{text.tune.validation}</th>
            <th scope="col">{text.card.macs}</th>
            <th scope="col">{text.together.steps}</th>
          </tr>
        </thead>
        <tbody>
          {stages.map(({ what, macs, steps, validation_top1 }, index) => (
            <tr key={index}>
              <th scope="row">{text.together.what(what)}</th>
              <td>
                <b>{validation_top1 === null ? '\u2013' : format.percent(validation_top1, 1)}</b>
              </td>
              <td>{format.count(macs)}</td>
              <td class="quiet-text">{format.exactly(steps)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {store.held.value.map(([group, why]) => (
        <p key={group} class="hint">
          {text.together.whole(group, told(why, false).join(' '))}
        </p>
      ))}
    </div>
  );
}
