import { useSignal } from '@preact/signals';
import { client } from '../actions/session.js';
import * as format from '../format.js';
import type { PlanOptions } from '../protocol.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { Told, told } from '../views/told.js';
import { useAnswer } from './answer.js';
import { BitmapCanvas } from './picture.js';
import { Some } from './some.js';

export const short = (value: number): string => format.fixed(value, 0, Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 1 ? 2 : 4);

/** One filter, channel by channel of what it looks at. */
function Parts(props: { layer: number; filter: number }) {
  const { layer, filter } = props;
  const { value } = useAnswer([store.model.value, layer, filter], () => client.call('filterChannels', { layer, filter }));
  const words = text.seeing;
  return (
    <section class="filter-parts" aria-label={words.filters.parts(filter)}>
      <h3>{words.filters.parts(filter)}</h3>
      <Some of={value?.channels ?? []} small>
        {({ channel, picture, range }) => (
          <li key={channel} title={`${words.channel(channel)}: ${short(range[0])} \u2026 ${short(range[1])}`}>
            <BitmapCanvas bitmap={picture} signs />
            <span>{channel}</span>
          </li>
        )}
      </Some>
    </section>
  );
}

/** The weights of a layer as pictures. */
export function Filters(props: { layer: number; plan: PlanOptions; planKey: string }) {
  const { layer, plan } = props;
  const words = text.seeing;
  const chosen = useSignal<number | undefined>(undefined);
  const { value, problem } = useAnswer([store.model.value, layer, props.planKey], () =>
    client.call('filterPictures', { layer, plan }),
  );
  if (problem) return <p class="problem"><Told message={problem} /></p>;
  if (!value) return <p class="hint">{words.working}</p>;
  const gone = value.channels.filter(({ goes }) => goes).length;
  return (
    <>
      <p class="hint">{words.filters.lead}</p>
      {value.unscored && <p class="needs">{words.filters.noScores(told(value.unscored).join(' '))}</p>}
      <p class="hint" role="status">
        {words.layer.counts(format.exactly(gone), format.exactly(value.channels.length))}
      </p>
      <Some of={value.channels}>
        {({ channel, goes, score, picture }) => (
          <li key={channel}>
            <button
              type="button"
              class={`bitmap-button${goes ? ' is-going' : ''}`}
              aria-pressed={chosen.value === channel}
              aria-label={words.filters.filter(channel, score === null ? words.filters.scoreless : short(score), goes)}
              onClick={() => (chosen.value = chosen.value === channel ? undefined : channel)}
            >
              <BitmapCanvas bitmap={picture} signs />
              <span>{score === null ? channel : short(score)}</span>
            </button>
          </li>
        )}
      </Some>
      {chosen.value === undefined ? <p class="hint">{words.filters.choose}</p> : <Parts layer={layer} filter={chosen.value} />}
    </>
  );
}
