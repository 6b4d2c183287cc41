import { signal, useSignal } from '@preact/signals';
import { client, runTask } from '../actions/session.js';
import { available } from '../actions/views.js';
import { CRITERIA, type CriterionName, needsOf, single } from '../criteria.js';
import * as format from '../format.js';
import type { Agreement, DataSummary, Matrix, OpenedModel } from '../protocol.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { TaskProgress } from '../views/controls.js';
import { heat } from './heat.js';

const FIRST: readonly CriterionName[] = ['l1', 'l2', 'linf', 'bn_scale', 'fpgm_l2', 'fpgm_cosine', 'lamp', 'random'];
const OVERALL = -1;

const kept = signal<{ model: OpenedModel; data: DataSummary | undefined; agreement: Agreement } | undefined>(undefined);

/** The last one, if it is of the model and images at hand. */
function current(): Agreement | undefined {
  const own = kept.value;
  return own?.model === store.model.value && own?.data === store.data.value ? own?.agreement : undefined;
}

async function compare(criteria: readonly CriterionName[]): Promise<void> {
  const [model, data] = [store.model.value, store.data.value];
  if (!model) return;
  const ask = { criteria: [...criteria], images: store.SCORE_IMAGES };
  const agreement = await runTask('agreement', (progress) => client.call('agreement', ask, { progress }));
  if (agreement) kept.value = { model, data, agreement };
}

const nameOf = (criterion: string): string => {
  const one = single(criterion);
  return one ? text.criteria[one.name][0] : criterion;
};

function Cell(props: { value: number | null | undefined }) {
  const { value } = props;
  if (value === null || value === undefined) {
    return (
      <td class="quiet-text" title={text.seeing.agreement.notComparable}>
        {'\u2013'}
        <span class="hidden">{text.seeing.agreement.notComparable}</span>
      </td>
    );
  }
  return <td class={heat(value)}>{format.fixed(value, 2)}</td>;
}

function Pairs(props: { criteria: readonly string[]; matrix: Matrix; where: string }) {
  const words = text.seeing.agreement;
  return (
    <div class="table-room" tabIndex={0} role="region" aria-label={words.table(props.where)}>
      <table class="table heat-table">
        <caption>{words.table(props.where)}</caption>
        <thead>
          <tr>
            <td />
            {props.criteria.map((name) => (
              <th key={name} scope="col" title={nameOf(name)}>
                {nameOf(name)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {props.matrix.map((row, index) => (
            <tr key={index}>
              <th scope="row">{nameOf(props.criteria[index] ?? '')}</th>
              {row.map((value, column) => (
                <Cell key={column} value={value} />
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Each layer as a row, each measure beside one of them. */
function ByLayer(props: { agreement: Agreement }) {
  const { criteria, layers } = props.agreement;
  const words = text.seeing.agreement;
  const beside = useSignal(0);
  const reference = Math.min(beside.value, criteria.length - 1);
  const name = nameOf(criteria[reference] ?? '');
  return (
    <>
      <label class="field">
        <span class="field-label">{words.perLayer}</span>
        <select value={reference} onChange={(event) => (beside.value = Number(event.currentTarget.value))}>
          {criteria.map((criterion, index) => (
            <option key={criterion} value={index}>
              {nameOf(criterion)}
            </option>
          ))}
        </select>
      </label>
      <div class="table-room table-tall" tabIndex={0} role="region" aria-label={words.perLayerTable(name)}>
        <table class="table heat-table">
          <caption>{words.perLayerTable(name)}</caption>
          <thead>
            <tr>
              <td />
              <th scope="col">{words.filters}</th>
              {criteria.map(
                (criterion, index) =>
                  index !== reference && (
                    <th key={criterion} scope="col" title={nameOf(criterion)}>
                      {nameOf(criterion)}
                    </th>
                  ),
              )}
            </tr>
          </thead>
          <tbody>
            {layers.map(({ weight, filters, matrix }) => (
              <tr key={weight}>
                <th scope="row">
                  <code>{weight}</code>
                </th>
                <td>{filters}</td>
                {criteria.map((criterion, index) => index !== reference && <Cell key={criterion} value={matrix[reference]?.[index]} />)}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

function Found(props: { agreement: Agreement }) {
  const { agreement } = props;
  const words = text.seeing.agreement;
  const at = useSignal(OVERALL);
  const layer = agreement.layers[at.value];
  return (
    <>
      <label class="field">
        <span class="field-label">{words.where}</span>
        <select
          class="layer-select"
          value={layer ? at.value : OVERALL}
          onChange={(event) => (at.value = Number(event.currentTarget.value))}
        >
          <option value={OVERALL}>{words.overall}</option>
          {agreement.layers.map(({ weight }, index) => (
            <option key={weight} value={index}>
              {weight}
            </option>
          ))}
        </select>
      </label>
      <Pairs
        criteria={agreement.criteria}
        matrix={layer?.matrix ?? agreement.overall}
        where={layer?.weight ?? `${words.overall} (${words.overallMore})`}
      />
      {agreement.left_out.length > 0 && (
        <p class="hint">
          {words.leftOut} {agreement.left_out.join(' ')}
        </p>
      )}
      <ByLayer agreement={agreement} />
    </>
  );
}

/** How alike the measures order filters. */
export function AgreementView() {
  const words = text.seeing.agreement;
  const chosen = useSignal<ReadonlySet<CriterionName>>(new Set(FIRST));
  const busy = store.busy.value;
  const all = Object.values(CRITERIA).flat().filter(available);
  const asked = all.filter((name) => chosen.value.has(name));
  const toggle = (name: CriterionName): void => {
    const next = new Set(chosen.value);
    if (!next.delete(name)) next.add(name);
    chosen.value = next;
  };
  const agreement = current();
  return (
    <>
      <p class="hint">{words.lead}</p>
      <fieldset class="settings" disabled={busy}>
        <legend>{words.measures}</legend>
        <div class="chips">
          {all.map((name) => (
            <label key={name} class="chip">
              <input type="checkbox" checked={chosen.value.has(name)} onChange={() => toggle(name)} />
              <span>{text.criteria[name][0]}</span>
            </label>
          ))}
        </div>
      </fieldset>
      {store.task.value?.name !== 'agreement' && (
        <div class="actions">
          <button type="button" class="button" disabled={busy || asked.length < 2} onClick={() => void compare(asked)}>
            {words.button(asked.length)}
          </button>
          {asked.length < 2 ? (
            <p class="hint">{words.two}</p>
          ) : (
            asked.some((name) => needsOf(name) !== 'weights') && <p class="hint">{words.images}</p>
          )}
        </div>
      )}
      <TaskProgress name="agreement" />
      {agreement && <Found agreement={agreement} />}
    </>
  );
}
