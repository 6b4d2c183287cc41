import { signal, useSignal } from '@preact/signals';
import { client, runTask } from '../actions/session.js';
import * as format from '../format.js';
import type { DataSummary, LayerInfo, PlanOptions, Silent } from '../protocol.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { Told } from '../views/told.js';
import { TaskProgress } from '../views/controls.js';
import { useAnswer } from './answer.js';
import { short } from './filters.js';
import { BitmapCanvas, Photo } from './picture.js';
import { Some } from './some.js';

/** Images by which a channel is called silent. */
const LOOKED_AT = 512;

const silent = signal<{ data: DataSummary; silent: Silent } | undefined>(undefined);

async function findSilent(): Promise<void> {
  const data = store.data.value;
  const found = await runTask('silent', (progress) => client.call('silent', { limit: LOOKED_AT }, { progress }));
  if (found && data) silent.value = { data, silent: found };
}

function SilentChannels(props: { layer: number; info: LayerInfo }) {
  const words = text.seeing.maps;
  const found = silent.value?.data === store.data.value ? silent.value?.silent : undefined;
  const own = found?.layers[props.layer];
  const known = found?.layers.filter((layer) => layer !== null) ?? [];
  return (
    <div class="silent">
      {found && (
        <p role="status">
          {own
            ? `${words.silent(own.length, props.info.filters, format.exactly(found.images))}${own.length > 0 ? ` ${own.join(', ')}.` : ''}`
            : words.unknown}{' '}
          {words.silentAll(
            format.exactly(known.reduce((sum, layer) => sum + layer.length, 0)),
            format.exactly(known.filter((layer) => layer.length > 0).length),
          )}
        </p>
      )}
      {store.task.value?.name !== 'silent' && (
        <button type="button" class="button" disabled={store.busy.value} onClick={() => void findSilent()}>
          {found ? words.again : words.button}
        </button>
      )}
      <TaskProgress name="silent" />
    </div>
  );
}

/** What a layer makes of one of the person's images. */
export function Maps(props: { layer: number; info: LayerInfo; plan: PlanOptions; planKey: string }) {
  const { layer, plan } = props;
  const words = text.seeing;
  const data = store.data.value;
  const at = useSignal(0);
  const image = data?.thumbnails[at.value]?.image;
  const { value, problem, waiting } = useAnswer(
    [data, layer, image, props.planKey],
    image === undefined ? undefined : () => client.call('featureMaps', { layer, image, plan }),
  );
  if (!data) return <p class="needs">{words.needsImages}</p>;
  const most = Math.max(...(value?.channels.map(({ range }) => Math.max(Math.abs(range[0]), Math.abs(range[1]))) ?? [0]));
  const isSilent = (range: readonly [number, number]): boolean => range[0] === 0 && range[1] === 0;
  const gone = value?.channels.filter(({ goes }) => goes).length ?? 0;
  return (
    <>
      <p class="hint">{words.maps.lead}</p>
      <fieldset class="photos">
        <legend>{words.maps.image}</legend>
        {data.thumbnails.map((picture, index) => (
          <button
            key={picture.image}
            type="button"
            class="photo-button"
            aria-pressed={at.value === index}
            aria-label={words.maps.choice(picture.label, picture.image)}
            title={picture.label}
            onClick={() => (at.value = index)}
          >
            <Photo {...picture} />
          </button>
        ))}
      </fieldset>
      {problem && <p class="problem"><Told message={problem} /></p>}
      {!value && waiting && <p class="hint">{words.working}</p>}
      {value && (
        <>
          <p class="hint" role="status">
            {words.layer.counts(format.exactly(gone), format.exactly(value.channels.length))}{' '}
            {words.maps.silentHere(value.channels.filter(({ range }) => isSilent(range)).length)}
          </p>
          <Some of={value.channels}>
            {({ channel, goes, range, picture }) => (
              <li key={channel}>
                <span
                  class={`bitmap-button${goes ? ' is-going' : ''}`}
                  role="img"
                  aria-label={words.maps.map(channel, short(range[1]), goes, isSilent(range))}
                  title={words.maps.map(channel, short(range[1]), goes, isSilent(range))}
                >
                  <BitmapCanvas bitmap={picture} />
                  <svg class="map-bar" width="100%" height="4" aria-hidden="true">
                    <rect class="bar-ground" width="100%" height="4" />
                    <rect class="bar-top1" width={`${most > 0 ? (Math.max(0, range[1]) / most) * 100 : 0}%`} height="4" />
                  </svg>
                  <span>{isSilent(range) ? words.maps.dead : channel}</span>
                </span>
              </li>
            )}
          </Some>
        </>
      )}
      <SilentChannels layer={layer} info={props.info} />
    </>
  );
}
