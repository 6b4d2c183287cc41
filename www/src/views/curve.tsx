import uPlot from 'uplot';
import { useEffect, useRef } from 'preact/hooks';
import type { LossPoint } from '../store.js';
import { text } from '../strings.js';
import { axis, colour } from './plot.js';

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
  ];
}

function options(host: HTMLElement, steps: number): uPlot.Options {
  return {
    width: host.clientWidth,
    height: HEIGHT,
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
    ],
  };
}

/** The loss while it falls, and the accuracy on the validation images at the end of each epoch. */
export function Curve(props: { points: readonly LossPoint[]; steps: number }) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const points = useRef(props.points);
  points.current = props.points;

  useEffect(() => {
    const element = host.current;
    if (!element) return undefined;
    const draw = (): void => {
      plot.current?.destroy();
      plot.current = new uPlot(options(element, props.steps), columns(points.current), element);
    };
    draw();
    const resized = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: HEIGHT }));
    resized.observe(element);
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    scheme.addEventListener('change', draw);
    const theme = new MutationObserver(draw);
    theme.observe(document.documentElement, { attributeFilter: ['data-theme'] });
    return () => {
      resized.disconnect();
      scheme.removeEventListener('change', draw);
      theme.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [props.steps]);

  useEffect(() => {
    // Steps can come faster than frames; one drawing a frame is enough.
    const frame = requestAnimationFrame(() => plot.current?.setData(columns(props.points)));
    return () => cancelAnimationFrame(frame);
  }, [props.points]);

  return (
    <figure class="curve">
      <figcaption>
        <span class="key key-loss">{text.tune.loss}</span>
        <span class="key key-smooth">{text.tune.lossSmooth}</span>
        <span class="key key-validation">{text.tune.validation}</span>
      </figcaption>
      <div ref={host} class="curve-plot" role="img" aria-label={text.tune.curve} />
    </figure>
  );
}
