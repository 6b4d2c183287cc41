import { signal, useSignal } from '@preact/signals';
import { client } from '../actions/session.js';
import type { LayerInfo } from '../protocol.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { Told } from '../views/told.js';
import { Segmented } from '../views/controls.js';
import { shownPlan, useAnswer } from './answer.js';
import { Filters } from './filters.js';
import { Maps } from './maps.js';
import { Plane } from './plane.js';

type Show = keyof typeof text.seeing.layer.show;

/** The layer that is looked at, for as long as its model is open. */
const chosen = signal<{ model: unknown; layer: number }>({ model: undefined, layer: 0 });

function Chosen(props: { layers: LayerInfo[] }) {
  const { layers } = props;
  const words = text.seeing.layer;
  const show = useSignal<Show>('filters');
  const { plan, why, key } = shownPlan();
  const model = store.model.value;
  const layer = chosen.value.model === model ? chosen.value.layer : 0;
  const own = layers[layer];
  if (!own) return <p class="hint">{words.none}</p>;
  return (
    <>
      <div class="choices">
        <label class="field">
          <span class="field-label">{words.layer}</span>
          <select
            class="layer-select"
            value={layer}
            onChange={(event) => (chosen.value = { model, layer: Number(event.currentTarget.value) })}
          >
            {layers.map(({ weight, op, filters }, index) => (
              <option key={index} value={index}>
                {words.option(weight, op, filters)}
              </option>
            ))}
          </select>
        </label>
        <Segmented<Show>
          label={words.shows}
          name="layer-shows"
          value={show.value}
          options={words.show}
          change={(value) => (show.value = value)}
        />
      </div>
      {!plan && <p class="needs">{why}</p>}
      {plan && show.value === 'filters' && <Filters key={layer} layer={layer} plan={plan} planKey={key} />}
      {plan && show.value === 'maps' && <Maps key={layer} layer={layer} info={own} plan={plan} planKey={key} />}
      {plan && show.value === 'plane' && <Plane key={layer} layer={layer} plan={plan} planKey={key} />}
    </>
  );
}

/** Filters, feature maps and geometry of one layer. */
export function LayerView() {
  const { value, problem } = useAnswer([store.model.value], () => client.call('layers', null));
  if (problem) return <p class="problem"><Told message={problem} /></p>;
  if (!value) return <p class="hint">{text.seeing.working}</p>;
  return <Chosen layers={value} />;
}
