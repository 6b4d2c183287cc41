import uPlot from 'uplot';
import { useMemo } from 'preact/hooks';
import type { LossPoint } from '../store.js';
import { text } from '../strings.js';
import { Plot, axis, colour } from './plot.js';

const HEIGHT = 220;
/** Weight of the past in the smoothed line. */
const PAST = 0.85;

function columns(points: readonly LossPoint[]): uPlot.AlignedData {
  let sum = 0;
  let weight = 0;
  const smooth = points.map(({ loss }) => {
    sum = PAST * sum + loss;
    weight = PAST * weight + 1;
    return sum / weight;
  });
  return [
    points.map((point) => point.step),
    points.map((point) => point.loss),
    smooth,
    points.map((point) => (point.validation === null ? null : point.validation * 100)),
    points.map((point) => (point.macs === null ? null : point.macs * 100)),
  ];
}

function options(host: HTMLElement, size: { width: number; height: number }, steps: number): uPlot.Options {
  return {
    ...size,
    padding: [12, 4, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: false, range: (_, __, last) => [0, Math.max(last, steps)] }, accuracy: { range: [0, 100] } },
    axes: [
      axis(host, { size: 30, grid: { show: false }, values: (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? String(tick) : '')) }),
      axis(host, { size: 44 }),
      axis(host, { scale: 'accuracy', side: 1, size: 52, grid: { show: false }, values: (_, ticks) => ticks.map((tick) => `${tick}\u202f%`) }),
    ],
    series: [
      {},
      { stroke: colour(host, 'faint'), width: 1, points: { show: false } },
      { stroke: colour(host, 'accent'), width: 2, points: { show: false } },
      {
        scale: 'accuracy',
        stroke: colour(host, 'cut'),
        width: 1.5,
        dash: [4, 4],
        spanGaps: true,
        points: { show: true, size: 7, fill: colour(host, 'cut') },
      },
      { scale: 'accuracy', stroke: colour(host, 'quiet'), width: 1.5, dash: [2, 3], points: { show: false } },
    ],
  };
}

/** The loss while it falls, the accuracy on the validation images now and then, and what is left of a network that shrinks. */
export function Curve(props: { points: readonly LossPoint[]; steps: number }) {
  const { points, steps } = props;
  const data = useMemo(() => columns(points), [points]);
  return (
    <figure class="curve">
      <figcaption>
        <span class="key key-loss">{text.tune.loss}</span>
        <span class="key key-smooth">{text.tune.lossSmooth}</span>
        <span class="key key-validation">{text.tune.validation}</span>
        {points.some(({ macs }) => macs !== null) && <span class="key key-macs">{text.together.macs}</span>}
      </figcaption>
      <Plot
        label={text.tune.curve}
        height={HEIGHT}
        inputs={[steps]}
        data={data}
        draw={(host, size) => new uPlot(options(host, size, steps), data, host)}
      />
    </figure>
  );
}
