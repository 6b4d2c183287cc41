import { set } from '../actions/settings.js';
import * as format from '../format.js';
import type { Stage } from '../protocol.js';
import * as store from '../store.js';
import { text } from '../strings.js';

const STAGES = Object.keys(text.recover.stages) as Stage[];

/** Which stages run before the first step of training. */
export function Recover() {
  const { recover } = store.settings.value;
  const toggle = (stage: Stage): void =>
    set({ recover: STAGES.filter((other) => (other === stage ? !recover.includes(stage) : recover.includes(other))) });
  return (
    <fieldset class="settings" disabled={store.busy.value}>
      <legend>{text.recover.title}</legend>
      <p class="hint">{text.recover.lead}</p>
      <div class="ticks">
        {STAGES.map((stage) => (
          <label key={stage} class="tick">
            <input type="checkbox" checked={recover.includes(stage)} onChange={() => toggle(stage)} />
            <span>
              {text.recover.stages[stage][0]}
              <small>{text.recover.stages[stage][1]}</small>
            </span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

export function RecoverLive() {
  const live = store.stage.value;
  if (!live) return null;
  const [name] = text.recover.stages[live.stage];
  return (
    <div class="task task-plain">
      <span class="task-label">{name}</span>
      <progress value={live.done} max={Math.max(1, live.total)} aria-label={name} />
      <span class="task-count">
        {format.exactly(live.done)} / {format.exactly(live.total)}
      </span>
    </div>
  );
}

/** What each stage brought. */
export function RecoverTable() {
  const stages = store.stages.value;
  const before = store.beforeStages.value;
  if (stages.length === 0 && before === null) return null;
  return (
    <table class="table">
      <caption>{text.recover.table}</caption>
      <tbody>
        {before !== null && (
          <tr>
            <th scope="row">{text.recover.before}</th>
            <td>
              <b>{format.percent(before, 1)}</b>
            </td>
            <td />
          </tr>
        )}
        {stages.map(({ stage, seconds, validation_top1 }) => (
          <tr key={stage}>
            <th scope="row">{text.recover.stages[stage][0]}</th>
            <td>
              <b>{validation_top1 === null ? text.recover.unknown : format.percent(validation_top1, 1)}</b>
            </td>
            <td class="quiet-text">{seconds < 1 ? format.milliseconds(seconds * 1000) : format.seconds(seconds)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
