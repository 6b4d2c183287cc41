import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { useEffect, useRef } from 'preact/hooks';

/** The theme's colour by the name of a class: a custom property would come back unresolved. */
export function colour(host: HTMLElement, name: string): string {
  const probe = document.createElement('i');
  probe.className = `ink-${name}`;
  host.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

/** An axis in the page's letters and colours. */
export function axis(host: HTMLElement, more: uPlot.Axis = {}): uPlot.Axis {
  return {
    stroke: colour(host, 'quiet'),
    font: `12px ${getComputedStyle(host).fontFamily}`,
    grid: { stroke: colour(host, 'line'), width: 1 },
    ticks: { show: false },
    ...more,
  };
}

/** A chart that follows its width and the colours of the page. `draw` makes it; what it depends on is in `inputs`. */
export function Plot(props: {
  label: string;
  height: number;
  inputs: readonly unknown[];
  draw(host: HTMLElement, size: { width: number; height: number }): uPlot;
  /** Numbers that change often: they are put into the chart that is there. */
  data?: uPlot.AlignedData;
}) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const latest = useRef(props.draw);
  latest.current = props.draw;
  useEffect(() => {
    const element = host.current;
    if (!element) return undefined;
    const draw = (): void => {
      plot.current?.destroy();
      plot.current = latest.current(element, { width: element.clientWidth, height: props.height });
    };
    draw();
    const resized = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: props.height }));
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
      plot.current = undefined;
    };
  }, [props.height, ...props.inputs]);
  useEffect(() => {
    const { data } = props;
    if (!data) return undefined;
    // Numbers can come faster than frames; one drawing a frame is enough.
    const frame = requestAnimationFrame(() => plot.current?.setData(data));
    return () => cancelAnimationFrame(frame);
  }, [props.data]);
  return <div ref={host} class="plot" role="img" aria-label={props.label} />;
}
