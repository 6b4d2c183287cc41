import { client } from '../actions/session.js';
import type { AxisChannels } from '../protocol.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { shownPlan, useAnswer } from '../seeing/answer.js';

type Run = AxisChannels['runs'][number];
/** More runs than this are a list nobody reads. */
const RUNS = 12;

/** Stretches of channels that share a fate: a strip has fewer parts than channels. */
function stretches(goes: readonly boolean[]): { from: number; length: number; gone: boolean }[] {
  const out: { from: number; length: number; gone: boolean }[] = [];
  goes.forEach((gone, from) => {
    const last = out.at(-1);
    if (last?.gone === gone) last.length += 1;
    else out.push({ from, length: 1, gone });
  });
  return out;
}

function Strip(props: { run: Run }) {
  const { run } = props;
  const words = text.seeing.graph;
  const all = run.goes.length;
  const gone = run.goes.filter(Boolean).length;
  const group = run.group === null ? undefined : store.model.value?.groups[run.group];
  const name = run.producers.join(', ') || group?.name || '';
  const label = run.group === null ? words.whole(all) : words.run(name, gone, all);
  return (
    <li class="channel-run">
      <svg width="100%" height="12" aria-hidden="true">
        {stretches(run.goes).map(({ from, length, gone: goes }) => (
          <rect
            key={from}
            class={goes ? 'bar-gone-solid' : run.group === null ? 'bar-quiet' : 'bar-kept'}
            x={`${(from / all) * 100}%`}
            width={`${(length / all) * 100}%`}
            height="12"
          />
        ))}
      </svg>
      <span>
        {label}
        {run.each > 1 && ` (${words.each(run.each)})`}
      </span>
    </li>
  );
}

/** Whose channels a value holds, in their order, and which of them go. */
export function ChannelMap(props: { value: string | undefined }) {
  const { value } = props;
  const { plan, key } = shownPlan();
  const { value: axes } = useAnswer(
    [store.model.value, value, key],
    plan && value !== undefined ? () => client.call('valueChannels', { value, plan }) : undefined,
  );
  if (value === undefined || !axes || axes.length === 0) return null;
  const words = text.seeing.graph;
  return (
    <div class="channel-map">
      {axes.map(({ axes: own, runs, more }) => (
        <div key={own.join()}>
          <p>
            {words.gives} <code>{value}</code> <span class="quiet-text">{words.axis(own.join(', '))}</span>
          </p>
          <ul>
            {runs.slice(0, RUNS).map((run, index) => (
              <Strip key={index} run={run} />
            ))}
          </ul>
          {(more || runs.length > RUNS) && <p class="hint">{words.more}</p>}
        </div>
      ))}
    </div>
  );
}
