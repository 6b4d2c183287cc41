import { useSignal } from '@preact/signals';
import uPlot from 'uplot';
import { measureSensitivity, solveRatios } from '../actions/views.js';
import * as format from '../format.js';
import type { Sensitivity } from '../protocol.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { NumberField, TaskProgress } from './controls.js';
import { Panel } from './panel.js';
import { Plot, axis, colour } from './plot.js';

const HEIGHT = 260;
/** Lines that are told apart by colour; the others stay in the background. */
const NAMED = 6;

/** How far a group falls at its worst. */
function fall(seen: Sensitivity, group: Sensitivity['groups'][number]): number {
  return Math.max(...group.points.map(({ value }) => (seen.measure === 'accuracy' ? seen.baseline - value : value)));
}

const ratiosOf = (seen: Sensitivity): number[] =>
  [...new Set(seen.groups.flatMap((group) => group.points.map(({ ratio }) => ratio)))].sort((a, b) => a - b);

/** Groups with the most sensitive first. */
const ranked = (seen: Sensitivity): Sensitivity['groups'] =>
  [...seen.groups].sort((a, b) => fall(seen, b) - fall(seen, a));

function chart(seen: Sensitivity, host: HTMLElement, size: { width: number; height: number }): uPlot {
  const groups = ranked(seen);
  const ratios = ratiosOf(seen);
  const shown = (value: number): number => (seen.measure === 'accuracy' ? value * 100 : value);
  const lines = groups.map((group) => {
    const own = new Map(group.points.map(({ ratio, value }) => [ratio, shown(value)]));
    return [shown(seen.measure === 'accuracy' ? seen.baseline : 0), ...ratios.map((ratio) => own.get(ratio) ?? null)];
  });
  const unit = seen.measure === 'accuracy' ? '\u202f%' : '';
  const options: uPlot.Options = {
    ...size,
    padding: [12, 24, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: false, range: [0, 100] } },
    axes: [
      axis(host, { size: 30, values: (_, ticks) => ticks.map((tick) => `${tick}\u202f%`) }),
      axis(host, { size: 56, values: (_, ticks) => ticks.map((tick) => `${Number(tick.toPrecision(3))}${unit}`) }),
    ],
    series: [
      {},
      ...groups.map((_, index): uPlot.Series => {
        const named = index < NAMED;
        const stroke = colour(host, named ? `group-${index}` : 'line');
        return { stroke, width: named ? 2 : 1, spanGaps: true, points: { show: named, size: 5, fill: stroke } };
      }),
    ],
  };
  return new uPlot(options, [[0, ...ratios.map((ratio) => ratio * 100)], ...lines], host);
}

function Seen(props: { seen: Sensitivity }) {
  const { seen } = props;
  const stays = useSignal(50);
  const solved = useSignal(false);
  const share = (value: number): string =>
    seen.measure === 'accuracy' ? format.percent(value, 1) : `${Number(value.toPrecision(2))}`;
  return (
    <>
      <figure class="chart">
        <figcaption>
          {seen.measure === 'accuracy' ? text.sensitivity.accuracy : text.sensitivity.difference}
          {seen.measure === 'accuracy' && `, ${text.sensitivity.baseline} ${share(seen.baseline)}`}
          {'. '}
          {text.sensitivity.share} →
        </figcaption>
        <Plot
          label={text.sensitivity.chart}
          height={HEIGHT}
          inputs={[seen]}
          draw={(host, size) => chart(seen, host, size)}
        />
      </figure>
      <div class="table-room">
        <table class="table">
          <caption>{text.sensitivity.worst}</caption>
          <thead>
            <tr>
              <td />
              {ratiosOf(seen).map((ratio) => (
                <th key={ratio} scope="col">
                  {format.percent(ratio)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {ranked(seen).map((group, index) => (
              <tr key={group.name}>
                <th scope="row">
                  <span class={index < NAMED ? `dot ink-group-${index}` : 'dot ink-line'} aria-hidden="true" />
                  <code>{group.name}</code>
                </th>
                {ratiosOf(seen).map((ratio) => {
                  const point = group.points.find((other) => other.ratio === ratio);
                  return <td key={ratio}>{point ? share(point.value) : '\u2013'}</td>;
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <div class="actions">
        <NumberField
          label={text.card.macs}
          unit="%"
          value={stays.value}
          min={1}
          max={100}
          disabled={store.busy.value}
          change={(value) => (stays.value = value ?? 50)}
        />
        <button
          type="button"
          class="button"
          disabled={store.busy.value}
          onClick={async () => {
            solved.value = await solveRatios(stays.value / 100);
          }}
        >
          {text.sensitivity.solve(`${stays.value}\u202f%`)}
        </button>
        <p class="hint" role="status">
          {solved.value ? text.sensitivity.solved : text.sensitivity.solveMore}
        </p>
      </div>
    </>
  );
}

/** What counts where there are no labels. */
function judgedBy(): string {
  if (store.data.value?.labelled) return '';
  return store.data.value ? text.sensitivity.unlabelled : text.sensitivity.random;
}

/** Each group cut alone: which ones bear it. */
export function SensitivityPanel() {
  const seen = store.sensitivity.value;
  return (
    <Panel title={text.sensitivity.title}>
      {() => (
        <>
          <p class="hint">
            {text.sensitivity.lead} {judgedBy()}
          </p>
          {seen && <Seen seen={seen} />}
          {store.task.value?.name !== 'sensitivity' && (
            <div class="actions">
              <button
                type="button"
                class="button"
                disabled={store.busy.value || store.unscored.value || !store.planOptions.value}
                onClick={() => void measureSensitivity()}
              >
                {seen ? text.sensitivity.again : text.sensitivity.button}
              </button>
            </div>
          )}
          <TaskProgress name="sensitivity" />
        </>
      )}
    </Panel>
  );
}
