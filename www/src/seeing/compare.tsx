import { signal, useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { client, runTask } from '../actions/session.js';
import * as format from '../format.js';
import type { Comparison, Confusion, CutSummary, DataSummary, Said } from '../protocol.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { Segmented, TaskProgress } from '../views/controls.js';
import { heat } from './heat.js';
import { Photo } from './picture.js';

/** Images that both models are asked about, and pictures that come with the answer. */
const ASKED = 1000;
const CARRIED = 120;
/** Pictures that are shown at first. */
const SHOWN = 24;

interface Kept {
  comparison: Comparison;
  cut: CutSummary;
  data: DataSummary;
}
const kept = signal<Kept | undefined>(undefined);
// A fine-tune makes another model of the same cut.
store.tune.subscribe((tune) => {
  if (tune === 'running') kept.value = undefined;
});

/** The comparison, if it is of the models and images at hand. */
function current(): Comparison | undefined {
  const own = kept.value;
  const holds = own && own.cut === store.cut.value?.summary && own.data === store.data.value;
  return holds && own.comparison.which === store.result.value ? own.comparison : undefined;
}

async function compare(): Promise<void> {
  const [which, cut, data] = [store.result.value, store.cut.value?.summary, store.data.value];
  if (!which || !cut || !data) return;
  const ask = { which, limit: ASKED, shown: CARRIED };
  const comparison = await runTask('compare', (progress) => client.call('compare', ask, { progress }));
  if (comparison) kept.value = { comparison, cut, data };
}

const said = ({ class: name, confidence, right }: Said): string =>
  text.seeing.compare.said(name, format.percent(confidence), right);

function Cards(props: { seen: Comparison['seen']; side: 'before' | 'after' }) {
  return (
    <div class={`wipe-side wipe-${props.side}`} aria-hidden="true">
      {props.seen.map(({ picture, changed, ...both }) => {
        const own = both[props.side];
        return (
          <div key={picture.image} class={`wipe-card${changed ? ' is-changed' : ''}`}>
            <Photo {...picture} />
            <span class={own.right === null ? 'wipe-said' : own.right ? 'wipe-said is-right' : 'wipe-said is-wrong'}>
              {own.right !== null && <b>{own.right ? '\u2713' : '\u2717'}</b>} {own.class}
            </span>
            <svg class="wipe-bar" width="100%" height="5">
              <rect class="bar-ground" width="100%" height="5" />
              <rect class={`wipe-bar-${props.side}`} width={`${own.confidence * 100}%`} height="5" />
            </svg>
          </div>
        );
      })}
    </div>
  );
}

/** Both answers to every picture, and a handle between them. */
function Wipe(props: { comparison: Comparison }) {
  const { which, seen } = props.comparison;
  const at = useSignal(50);
  const all = useSignal(false);
  const frame = useRef<HTMLDivElement>(null);
  useEffect(() => {
    frame.current?.style.setProperty('--at', `${at.value}%`);
  }, [at.value]);
  const drag = (event: PointerEvent): void => {
    if (event.buttons !== 1 || !frame.current) return;
    const { left, width } = frame.current.getBoundingClientRect();
    at.value = Math.round(Math.min(100, Math.max(0, ((event.clientX - left) / Math.max(1, width)) * 100)));
  };
  const shown = all.value ? seen : seen.slice(0, SHOWN);
  const words = text.seeing.compare;
  return (
    <div class="wipe">
      <p class="wipe-ends" aria-hidden="true">
        <span>{words.side.before}</span>
        <span>{words.side.after[which]}</span>
      </p>
      <input
        type="range"
        class="wipe-handle"
        min="0"
        max="100"
        value={at.value}
        aria-label={words.handle}
        aria-valuetext={words.handleAt(format.percent(at.value / 100))}
        onInput={(event) => (at.value = Number(event.currentTarget.value))}
      />
      <div class="wipe-frame" ref={frame} onPointerDown={drag} onPointerMove={drag}>
        <Cards seen={shown} side="after" />
        <Cards seen={shown} side="before" />
        <span class="wipe-line" aria-hidden="true" />
      </div>
      <ul class="hidden" aria-label={words.list(format.exactly(shown.length))}>
        {shown.map(({ picture, before, after }) => (
          <li key={picture.image}>{words.image(picture.label, said(before), said(after))}</li>
        ))}
      </ul>
      {seen.length > SHOWN && !all.value && (
        <button type="button" class="button link" onClick={() => (all.value = true)}>
          {words.more(format.exactly(seen.length))}
        </button>
      )}
    </div>
  );
}

/** How good a cell's number is, from -1 to 1. */
function worth(matrix: readonly (readonly number[])[], row: number, column: number, change: boolean): number {
  const value = matrix[row]?.[column] ?? 0;
  const most = Math.max(1, ...matrix.flat().map(Math.abs));
  if (!change) return (row === column ? 1 : -1) * Math.sqrt(value / Math.max(1, ...(matrix[row] ?? [])));
  return (row === column ? 1 : -1) * Math.sign(value) * Math.sqrt(Math.abs(value) / most);
}

function Matrix(props: { confusion: Confusion }) {
  const { confusion } = props;
  const show = useSignal<'before' | 'after' | 'difference'>('difference');
  const words = text.seeing.compare;
  const matrix = confusion[show.value];
  const change = show.value === 'difference';
  const name = (at: number): string => (confusion.others && at === confusion.classes.length - 1 ? words.others : (confusion.classes[at] ?? ''));
  const signed = (value: number): string => (value > 0 && change ? `+${value}` : value < 0 ? `\u2212${-value}` : `${value}`);
  return (
    <div class="confusion">
      <h3>{words.confusion}</h3>
      <p class="hint">{words.confusionLead}</p>
      <Segmented
        label={words.shows}
        name="confusion"
        value={show.value}
        options={words.show}
        change={(value) => (show.value = value)}
      />
      <div class="table-room" tabIndex={0} role="region" aria-label={words.confusion}>
        <table class="table heat-table">
          <caption class="hidden">
            {words.confusion}: {words.show[show.value]}
          </caption>
          <thead>
            <tr>
              <th scope="col">{words.truth}</th>
              {matrix.map((_, column) => (
                <th key={column} scope="col" title={name(column)}>
                  {name(column)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {matrix.map((cells, row) => (
              <tr key={row}>
                <th scope="row" title={name(row)}>
                  {name(row)}
                </th>
                {cells.map((value, column) => (
                  <td key={column} class={heat(worth(matrix, row, column, change))}>
                    {value === 0 ? <span class="quiet-text">0</span> : signed(value)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}

/** What the original and the cut model say of the same pictures. */
export function CompareView() {
  const words = text.seeing.compare;
  const comparison = current();
  const possible = store.cut.value !== undefined && store.data.value !== undefined;
  const all = format.exactly(comparison?.images ?? 0);
  return (
    <>
      <p class="hint">{words.lead}</p>
      {!possible && <p class="needs">{words.needs}</p>}
      {possible && store.cut.value && !store.cutIsCurrent.value && <p class="hint">{words.stale}</p>}
      {comparison && (
        <>
          <p class="compare-summary" role="status">
            <b>{comparison.changed === 0 ? words.same(all) : words.summary(format.exactly(comparison.changed), all)}</b>{' '}
            {comparison.lost_and_won &&
              words.lostAndWon(format.exactly(comparison.lost_and_won[0]), format.exactly(comparison.lost_and_won[1]))}
          </p>
          <Wipe comparison={comparison} />
          {comparison.confusion && <Matrix confusion={comparison.confusion} />}
        </>
      )}
      {possible && store.task.value?.name !== 'compare' && (
        <div class="actions">
          <button type="button" class="button" disabled={store.busy.value} onClick={() => void compare()}>
            {comparison ? words.again : words.button}
          </button>
        </div>
      )}
      <TaskProgress name="compare" />
    </>
  );
}
