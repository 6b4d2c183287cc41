import { useSignalEffect } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { text } from '../strings.js';
import { colour } from '../views/plot.js';
import { type Area, type Palette, type Scene, type View, fit, head, hit, hitArrow, paint } from './paint.js';
import * as scene from './scene.js';

const GROUPS = 6;
/** A press that moves less than this is a choice, not a drag. */
const STILL = 5;
const STEP = 60;
const ZOOM_STEP = 1.25;
/** A model taller than the canvas starts at its top, at a zoom that can be read. */
const LEAST_ZOOM = 0.5;

function palette(host: HTMLElement): Palette {
  const style = getComputedStyle(host);
  return {
    surface: colour(host, 'surface'),
    ground: getComputedStyle(host).backgroundColor,
    ink: style.color,
    quiet: colour(host, 'quiet'),
    line: colour(host, 'strong'),
    focus: colour(host, 'focus'),
    gone: colour(host, 'cut'),
    groups: Array.from({ length: GROUPS }, (_, group) => colour(host, `group-${group}`)),
    font: style.fontFamily,
  };
}

/** What the buttons around the canvas can ask of it. */
export interface Hands {
  zoom(times: number): void;
  fit(): void;
  show(box: number): void;
}

export function Canvas(props: { hands: { current: Hands | null }; wide: boolean; children?: ComponentChildren }) {
  const host = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const view = useRef<View>({ x: 0, y: 0, zoom: 1 });
  const redraw = useRef<() => void>(() => undefined);
  const pointer = useRef<{ x: number; y: number } | undefined>(undefined);
  const press = useRef<{ x: number; y: number; moved: boolean } | undefined>(undefined);
  const sensed = useRef<() => void>(() => undefined);

  const now = (): Scene | undefined => {
    const laidOut = scene.laidOut.value;
    const over = scene.hovered.value;
    return (
      laidOut && {
        ...laidOut,
        sizes: scene.sizes.value,
        seconds: scene.seconds.value,
        lit: scene.light.value,
        chain: scene.chainBoxes.value,
        selected: scene.selected.value,
        hovered: over && 'box' in over ? over.box : undefined,
        hoveredArrow: over && 'arrow' in over ? over.arrow : undefined,
        labels: scene.labels.value,
        loose: scene.loose.value,
      }
    );
  };
  /** One part of the canvas for each drawing. */
  const areas = (): Area[] => {
    const [width, height] = [host.current?.clientWidth ?? 1, host.current?.clientHeight ?? 1];
    const count = scene.halves.value ? 2 : 1;
    return Array.from({ length: count }, (_, at) => ({ left: (at * width) / count, width: width / count, height }));
  };
  const area = (): Area => areas()[0] ?? { left: 0, width: 1, height: 1 };
  /** The place within its part. */
  const within = (x: number): number => x % area().width;

  useEffect(() => {
    const [element, surface] = [host.current, canvas.current];
    const context = surface?.getContext('2d');
    if (!element || !surface || !context) return undefined;
    let colours = palette(element);
    let frame = 0;
    const draw = (): void => {
      const [width, height] = [element.clientWidth, element.clientHeight];
      const density = devicePixelRatio;
      if (surface.width !== Math.round(width * density) || surface.height !== Math.round(height * density)) {
        surface.width = Math.round(width * density);
        surface.height = Math.round(height * density);
      }
      sensed.current();
      const seen = now();
      if (!seen) return;
      const [halves, names] = [scene.halves.value, [text.seeing.graph.width.before, text.seeing.graph.width.after]];
      areas().forEach((part, at) => {
        paint(context, { ...seen, ...halves?.[at] }, colours, view.current, part, density);
        if (halves) head(context, colours, part, names[at] ?? '');
      });
    };
    redraw.current = () => {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(draw);
    };
    const repaint = (): void => {
      colours = palette(element);
      redraw.current();
    };
    const resized = new ResizeObserver(() => redraw.current());
    resized.observe(element);
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    scheme.addEventListener('change', repaint);
    const theme = new MutationObserver(repaint);
    theme.observe(document.documentElement, { attributeFilter: ['data-theme'] });
    return () => {
      cancelAnimationFrame(frame);
      resized.disconnect();
      scheme.removeEventListener('change', repaint);
      theme.disconnect();
    };
  }, []);

  const home = (least: number): void => {
    const laidOut = scene.laidOut.value;
    const { width, height } = area();
    if (laidOut) view.current = fit(laidOut.layout, width, height, least);
    redraw.current();
  };
  const zoomAt = (times: number, x: number, y: number): void => {
    const { x: left, y: top, zoom } = view.current;
    const next = Math.min(3, Math.max(0.03, zoom * times));
    view.current = { x: x - ((x - left) * next) / zoom, y: y - ((y - top) * next) / zoom, zoom: next };
    redraw.current();
  };
  const move = (x: number, y: number): void => {
    view.current = { ...view.current, x: view.current.x + x, y: view.current.y + y };
    redraw.current();
  };

  // A new layout starts where the person looks best at it.
  useSignalEffect(() => {
    if (scene.laidOut.value) home(LEAST_ZOOM);
  });
  useSignalEffect(() => {
    now();
    void scene.halves.value;
    redraw.current();
  });

  props.hands.current = {
    zoom: (times) => zoomAt(times, area().width / 2, area().height / 2),
    fit: () => home(0),
    show: (box) => {
      const middle = scene.laidOut.value?.layout.boxes[box];
      if (!middle) return;
      const zoom = Math.max(view.current.zoom, 0.8);
      view.current = { x: area().width / 2 - middle[0] * zoom, y: area().height / 2 - middle[1] * zoom, zoom };
      redraw.current();
    },
  };

  // At once, since a key may choose the next box before the frame is painted; a box that was chosen stays in the middle.
  useLayoutEffect(() => {
    home(LEAST_ZOOM);
    if (scene.selected.value !== undefined) props.hands.current?.show(scene.selected.value);
  }, [props.wide, scene.halves.value === undefined]);

  useEffect(() => {
    const surface = canvas.current;
    if (!surface) return undefined;
    const wheel = (event: WheelEvent): void => {
      // The page scrolls, until the drawing was chosen or fills the window.
      if (!event.ctrlKey && document.activeElement !== surface && !props.wide) return;
      event.preventDefault();
      zoomAt(Math.exp(-event.deltaY * 0.0016), within(event.offsetX), event.offsetY);
    };
    surface.addEventListener('wheel', wheel, { passive: false });
    return () => surface.removeEventListener('wheel', wheel);
  }, [props.wide]);

  /** Says what lies below the pointer, which changes as well when the drawing moves. */
  const sense = (): void => {
    const [seen, over] = [now(), pointer.current];
    if (!seen || !over || press.current) return;
    const box = hit(seen, view.current, within(over.x), over.y);
    const arrow = box === undefined ? hitArrow(seen, view.current, within(over.x), over.y) : undefined;
    const { box: oldBox, arrow: oldArrow } = { box: undefined, arrow: undefined, ...scene.hovered.peek() };
    if (box === oldBox && arrow === oldArrow) return;
    scene.hovered.value = box !== undefined ? { box } : arrow !== undefined ? { arrow } : undefined;
  };
  sensed.current = sense;
  const at = (event: PointerEvent | MouseEvent): number | undefined => {
    const seen = now();
    return seen && hit(seen, view.current, within(event.offsetX), event.offsetY);
  };
  const key = (event: KeyboardEvent): void => {
    const moves: Record<string, [number, number]> = {
      ArrowLeft: [STEP, 0],
      ArrowRight: [-STEP, 0],
      ArrowUp: [0, STEP],
      ArrowDown: [0, -STEP],
    };
    const by = moves[event.key];
    if (by) move(...by);
    else if (event.key === '+' || event.key === '=') props.hands.current?.zoom(ZOOM_STEP);
    else if (event.key === '-') props.hands.current?.zoom(1 / ZOOM_STEP);
    else if (event.key === '0') home(0);
    else if (event.key === 'Enter' && scene.selected.value !== undefined) scene.openBox(scene.selected.value);
    else if (event.key === ']' || event.key === '[') {
      const box = scene.step(event.key === ']' ? 1 : -1);
      if (box !== undefined) props.hands.current?.show(box);
    } else return;
    event.preventDefault();
  };

  const waiting = scene.arranging.value || scene.laidOut.value === undefined;
  return (
    <div class="graph-canvas" ref={host} aria-busy={waiting}>
      <canvas
        ref={canvas}
        tabIndex={0}
        role="img"
        aria-label={text.graph.label}
        class={scene.hovered.value === undefined ? undefined : 'over-box'}
        onKeyDown={key}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          press.current = { x: event.clientX, y: event.clientY, moved: false };
        }}
        onPointerMove={(event) => {
          const from = press.current;
          pointer.current = { x: event.offsetX, y: event.offsetY };
          if (!from) {
            sense();
            return;
          }
          const [x, y] = [event.clientX - from.x, event.clientY - from.y];
          if (!from.moved && Math.hypot(x, y) < STILL) return;
          press.current = { x: event.clientX, y: event.clientY, moved: true };
          move(x, y);
        }}
        onPointerUp={(event) => {
          if (press.current && !press.current.moved) scene.select(at(event));
          press.current = undefined;
        }}
        onPointerCancel={() => (press.current = undefined)}
        onPointerLeave={() => {
          pointer.current = undefined;
          scene.hovered.value = undefined;
        }}
        onDblClick={(event) => {
          const box = at(event);
          if (box !== undefined) scene.openBox(box);
        }}
      />
      {props.children}
      {waiting && <p class="graph-wait">{text.graph.drawing}</p>}
    </div>
  );
}
