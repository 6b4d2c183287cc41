import { timeZeros } from '../actions/views.js';
import * as format from '../format.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { TaskProgress } from './controls.js';
import { Panel } from './panel.js';

const SHARE = 0.5;

function Bars() {
  const seen = store.zeros.value;
  if (!seen) return null;
  const rows: [string, number, string][] = [
    [text.zeros.original, seen.original, 'bar-quiet'],
    [text.zeros.zeros(format.percent(seen.masked / Math.max(1, seen.entries))), seen.zeros, 'bar-gone-solid'],
    ...(seen.cut === null ? [] : [[text.zeros.cut, seen.cut, 'bar-kept'] as [string, number, string]]),
  ];
  const longest = Math.max(...rows.map(([, time]) => time));
  return (
    <figure class="times">
      <ul>
        {rows.map(([name, time, tone]) => (
          <li key={name}>
            <span>{name}</span>
            <svg class="bar" width="100%" height="14" aria-hidden="true">
              <rect class={tone} width={`${(time / longest) * 100}%`} height="14" />
            </svg>
            <b>{format.milliseconds(time)}</b>
          </li>
        ))}
      </ul>
      <figcaption class="hint">
        {text.zeros.measured(seen.device)}. {text.zeros.same} {seen.cut === null && text.zeros.noCut}
      </figcaption>
    </figure>
  );
}

/** Masks beside the cut: why zeros alone make nothing faster. */
export function ZerosPanel() {
  return (
    <Panel name="zeros" title={text.zeros.title}>
      {() => (
        <>
          <p class="hint">{text.zeros.lead}</p>
          <Bars />
          <div class="actions">
            <button type="button" class="button" disabled={store.busy.value} onClick={() => void timeZeros(SHARE)}>
              {text.zeros.button(format.percent(SHARE))}
            </button>
          </div>
          <TaskProgress name="zeros" />
        </>
      )}
    </Panel>
  );
}
