import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { useEffect, useRef } from 'preact/hooks';
import type { LossPoint } from '../store.js';
import { text } from '../strings.js';

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

/** The theme's colour by the name of a class: a custom property would come back unresolved. */
function colour(host: HTMLElement, name: string): string {
  const probe = document.createElement('i');
  probe.className = `ink-${name}`;
  host.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

function options(host: HTMLElement, steps: number): uPlot.Options {
  const font = `12px ${getComputedStyle(host).fontFamily}`;
  const quiet = colour(host, 'quiet');
  const axis: uPlot.Axis = {
    stroke: quiet,
    font,
    grid: { stroke: colour(host, 'line'), width: 1 },
    ticks: { show: false },
  };
  return {
    width: host.clientWidth,
    height: HEIGHT,
    padding: [12, 4, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: false, range: (_, __, last) => [0, Math.max(last, steps)] }, accuracy: { range: [0, 100] } },
    axes: [
      { ...axis, size: 30, grid: { show: false }, values: (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? String(tick) : '')) },
      { ...axis, size: 44 },
      { ...axis, scale: 'accuracy', side: 1, size: 52, grid: { show: false }, values: (_, ticks) => ticks.map((tick) => `${tick}\u202f%`) },
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
