import { useSignal } from '@preact/signals';
import uPlot from 'uplot';
import { available, sweep, take } from '../actions/views.js';
import { CRITERIA, type CriterionName } from '../criteria.js';
import * as format from '../format.js';
import type { Recipe, SweepRow } from '../protocol.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { Segmented, TaskProgress } from './controls.js';
import { Panel } from './panel.js';
import { Plot, axis, colour } from './plot.js';

const HEIGHT = 280;
const SHARES = [0.3, 0.5, 0.7] as const;
const ALL_SHARES = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8] as const;
/** A point is hit from so many pixels away. */
const REACH = 14;

type Cost = keyof typeof text.sweep.axis;
const SHOW: Record<Cost, (value: number) => string> = { macs: format.count, bytes: format.bytes, milliseconds: format.milliseconds };

/** Points, those that nothing beats filled and joined; a click near one takes it. */
function chart(
  rows: readonly SweepRow[],
  cost: Cost,
  take: (row: SweepRow) => void,
  host: HTMLElement,
  size: { width: number; height: number },
): uPlot {
  const sorted = [...rows].sort((a, b) => a[cost] - b[cost]);
  // Among the best in everything, those that are best by this cost are joined.
  let most = Number.NEGATIVE_INFINITY;
  const best = sorted.map((row) => {
    const better = row.top1 > most;
    most = Math.max(most, row.top1);
    return better ? row.top1 * 100 : null;
  });
  const accent = colour(host, 'accent');
  const quiet = colour(host, 'quiet');
  const plot = new uPlot(
    {
      ...size,
      padding: [12, 16, 0, 0],
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, points: { show: false }, x: false, y: false },
      scales: {
        x: { time: false, range: (_, low, high) => [low - (high - low) * 0.06, high + (high - low) * 0.06] },
        y: { range: (_, low, high) => [Math.max(0, low - 5), Math.min(100, high + 5)] },
      },
      axes: [
        axis(host, { size: 32, values: (_, ticks) => ticks.map((tick) => SHOW[cost](tick)) }),
        axis(host, { size: 56, values: (_, ticks) => ticks.map((tick) => `${tick}\u202f%`) }),
      ],
      series: [
        {},
        { stroke: accent, width: 2, spanGaps: true, points: { show: true, size: 10, fill: accent } },
        {
          paths: () => null,
          points: { show: true, size: 9, stroke: quiet, fill: colour(host, 'surface') },
        },
      ],
    },
    [sorted.map((row) => row[cost]), best, sorted.map((row, index) => (best[index] === null ? row.top1 * 100 : null))],
    host,
  );
  plot.over.addEventListener('click', (event) => {
    const [x, y] = [event.offsetX, event.offsetY];
    const near = sorted
      .map((row) => ({ row, away: Math.hypot(plot.valToPos(row[cost], 'x') - x, plot.valToPos(row.top1 * 100, 'y') - y) }))
      .sort((a, b) => a.away - b.away)[0];
    if (near && near.away <= REACH) take(near.row);
  });
  return plot;
}

function Rows() {
  const cost = useSignal<Cost>('macs');
  const rows = store.sweep.value;
  const fine = rows.filter(({ row }) => row.failed === undefined).map(({ row }) => row);
  if (rows.length === 0) return null;
  const choose = (recipe: Recipe | undefined): void => {
    if (recipe) void take(recipe);
  };
  return (
    <>
      <Segmented<Cost>
        label={text.sweep.against}
        name="cost"
        value={cost.value}
        options={text.sweep.axis}
        change={(value) => (cost.value = value)}
      />
      <Plot
        label={text.sweep.chart}
        height={HEIGHT}
        inputs={[rows, cost.value]}
        draw={(host, size) =>
          chart(fine, cost.value, (row) => choose(rows.find((other) => other.row === row)?.recipe), host, size)
        }
      />
      <div class="table-room">
        <table class="table">
          <caption>{text.sweep.table}</caption>
          <thead>
            <tr>
              <th scope="col">{text.sweep.name}</th>
              <th scope="col">{text.card.accuracy}</th>
              <th scope="col">{text.sweep.axis.macs}</th>
              <th scope="col">{text.sweep.axis.bytes}</th>
              <th scope="col">{text.sweep.axis.milliseconds}</th>
              <th scope="col">
                <span class="hidden">{text.sweep.take}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ row, recipe }) => (
              <tr key={row.name} class={row.pareto ? 'row-best' : undefined}>
                <th scope="row">
                  <span class={row.pareto ? 'dot ink-accent' : 'dot ink-line'} aria-hidden="true" />
                  {recipe ? row.name : text.sweep.original}
                  {row.pareto && <span class="hidden">, {text.sweep.best}</span>}
                </th>
                {row.failed === undefined ? (
                  <>
                    <td>
                      <b>{format.percent(row.top1, 1)}</b>
                    </td>
                    <td>{format.count(row.macs)}</td>
                    <td>{format.bytes(row.bytes)}</td>
                    <td>{format.milliseconds(row.milliseconds)}</td>
                  </>
                ) : (
                  <td colSpan={4} title={text.said(row.failed)}>
                    {text.sweep.failed}: {text.said(row.failed)}
                  </td>
                )}
                <td>
                  {recipe && row.failed === undefined && (
                    <button
                      type="button"
                      class="button link small"
                      aria-label={`${text.sweep.take}: ${row.name}`}
                      disabled={store.busy.value}
                      onClick={() => choose(recipe)}
                    >
                      {text.sweep.take}
                    </button>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

function Ask() {
  const measures = useSignal<ReadonlySet<CriterionName>>(new Set<CriterionName>(['l1', 'fpgm_l2', 'random']));
  const shares = useSignal<ReadonlySet<number>>(new Set(SHARES));
  const repaired = useSignal(true);
  const busy = store.busy.value;
  const toggled = <T,>(set: ReadonlySet<T>, value: T): ReadonlySet<T> =>
    set.has(value) ? new Set([...set].filter((other) => other !== value)) : new Set([...set, value]);
  const all = Object.values(CRITERIA).flat();
  const chosen = all.filter((name) => measures.value.has(name) && available(name));
  const count = chosen.length * shares.value.size;
  return (
    <>
      <fieldset class="settings" disabled={busy}>
        <legend>{text.sweep.measures}</legend>
        <div class="chips">
          {all.filter(available).map((name) => (
            <label key={name} class="chip">
              <input
                type="checkbox"
                checked={measures.value.has(name)}
                onChange={() => (measures.value = toggled(measures.value, name))}
              />
              <span>{text.criteria[name][0]}</span>
            </label>
          ))}
        </div>
      </fieldset>
      <fieldset class="settings" disabled={busy}>
        <legend>{text.sweep.amounts}</legend>
        <div class="chips">
          {ALL_SHARES.map((share) => (
            <label key={share} class="chip">
              <input
                type="checkbox"
                checked={shares.value.has(share)}
                onChange={() => (shares.value = toggled(shares.value, share))}
              />
              <span>{format.percent(share)}</span>
            </label>
          ))}
        </div>
      </fieldset>
      <label class="tick">
        <input type="checkbox" checked={repaired.value} disabled={busy} onChange={() => (repaired.value = !repaired.value)} />
        {text.sweep.recover}
      </label>
      <div class="actions">
        <button
          type="button"
          class="button"
          disabled={busy || count === 0 || !store.planOptions.value}
          onClick={() => void sweep(chosen, [...shares.value].sort(), repaired.value)}
        >
          {text.sweep.button(count)}
        </button>
        {store.cut.value && <p class="hint">{text.sweep.forget}</p>}
      </div>
      <TaskProgress name="sweep" />
    </>
  );
}

/** Many cuts beside each other: accuracy against what they cost. */
export function SweepPanel() {
  return (
    <Panel title={text.sweep.title}>
      {() => (
        <>
          <p class="hint">{text.sweep.lead}</p>
          <Ask />
          <Rows />
        </>
      )}
    </Panel>
  );
}
