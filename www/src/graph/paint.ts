/** Draws boxes and arrows on a canvas. Knows nothing of the page but its colours. */

import type { Layout, Role } from '../protocol.js';
import type { Shown } from './boxes.js';

/** What the canvas looks at: the place of the drawing's origin, and the zoom. */
export interface View {
  x: number;
  y: number;
  zoom: number;
}

export interface Scene {
  shown: Shown;
  layout: Layout;
  sizes: readonly (readonly [number, number])[];
  /** The second line of each box. */
  seconds: readonly string[];
  /** What each box is to the group that is lit; absent where nothing is lit. */
  lit: { group: number; roles: readonly ReadonlySet<Role>[]; values: ReadonlySet<number> } | undefined;
  /** What stands on each arrow. */
  labels: readonly string[];
  /** Of each box, how much of what it makes is left; drawn as a bar along its lower edge. */
  shares?: readonly (number | undefined)[];
  /** Boxes that are cut away. */
  gone?: ReadonlySet<number>;
  /** Boxes whose cut is close, not exact. */
  loose: ReadonlySet<number>;
  /** Boxes of a chain that is walked. */
  chain: ReadonlySet<number>;
  selected: number | undefined;
  hovered: number | undefined;
  /** The arrow under the pointer. */
  hoveredArrow: number | undefined;
}

export interface Palette {
  surface: string;
  /** What the drawing lies on. */
  ground: string;
  ink: string;
  quiet: string;
  line: string;
  focus: string;
  gone: string;
  groups: readonly string[];
  font: string;
}

/** Below this zoom letters are only noise. */
const READABLE = 0.42;
/** Below this one, boxes are plain and arrows straight: nobody sees more of them. */
const SHAPED = 0.16;
const FAINT = 0.22;
const RADIUS = 7;

export const colourOf = (palette: Palette, group: number | undefined): string =>
  group === undefined ? palette.quiet : (palette.groups[group % palette.groups.length] ?? palette.quiet);

/** What the canvas shows of the drawing's own plane. */
interface Sight {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

type Points = readonly (readonly [x: number, y: number])[];

/** Whether any of it can be seen: within sight, and longer than a pixel. */
function seen(points: Points, { left, top, right, bottom }: Sight, zoom: number): boolean {
  let [west, east, north, south] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const [x, y] of points) {
    west = Math.min(west, x);
    east = Math.max(east, x);
    north = Math.min(north, y);
    south = Math.max(south, y);
  }
  return east > left && west < right && south > top && north < bottom && (east - west + south - north) * zoom > 1;
}

/** Strokes many arrows at once: a stroke each takes most of a frame where there are thousands. */
function strokes(context: CanvasRenderingContext2D, all: readonly Points[], zoom: number): void {
  context.beginPath();
  for (const points of all) {
    points.forEach(([x, y], at) => {
      const next = points[at + 1];
      if (at === 0) context.moveTo(x, y);
      // Through the middles of the straight pieces, bent at their corners.
      else if (next && zoom > SHAPED) context.quadraticCurveTo(x, y, (x + next[0]) / 2, (y + next[1]) / 2);
      else context.lineTo(x, y);
    });
  }
  context.stroke();
  if (zoom <= SHAPED) return;
  context.beginPath();
  for (const points of all) {
    const [x, y] = points.at(-1) ?? [0, 0];
    context.moveTo(x - 3.6, y - 7);
    context.lineTo(x + 3.6, y - 7);
    context.lineTo(x, y);
  }
  context.fill();
}

function arrows(context: CanvasRenderingContext2D, scene: Scene, palette: Palette, view: View, sight: Sight): void {
  const { shown, layout, lit } = scene;
  const [plain, carrying]: [Points[], Points[]] = [[], []];
  shown.arrows.forEach((arrow, index) => {
    const points = layout.arrows[index];
    if (!points || !seen(points, sight, view.zoom)) return;
    const carries = lit !== undefined && arrow.values.some((value) => lit.values.has(value));
    (carries ? carrying : plain).push(points);
  });
  const width = 1 / Math.min(1, Math.max(0.5, view.zoom));
  context.globalAlpha = lit ? FAINT : 1;
  context.strokeStyle = context.fillStyle = palette.quiet;
  context.lineWidth = 1.1 * width;
  strokes(context, plain, view.zoom);
  context.globalAlpha = 1;
  context.strokeStyle = context.fillStyle = colourOf(palette, lit?.group);
  context.lineWidth = 2.6 * width;
  strokes(context, carrying, view.zoom);
  const over = layout.arrows[scene.hoveredArrow ?? -1];
  if (!over) return;
  context.strokeStyle = context.fillStyle = palette.focus;
  strokes(context, [over], view.zoom);
}

function box(context: CanvasRenderingContext2D, scene: Scene, palette: Palette, at: number, view: View): void {
  const { shown, layout, sizes, seconds, lit } = scene;
  const own = shown.boxes[at];
  const [middle, size] = [layout.boxes[at], sizes[at]];
  if (!own || !middle || !size) return;
  const [width, height] = size;
  const [x, y] = [middle[0] - width / 2, middle[1] - height / 2];
  const roles = lit?.roles[at];
  const inChain = scene.chain.has(at);
  const aside = (lit || scene.chain.size > 0) && !roles?.size && !inChain && scene.selected !== at;
  context.globalAlpha = aside || scene.gone?.has(at) ? FAINT : 1;
  if (view.zoom <= SHAPED) {
    context.fillStyle = inChain || scene.selected === at ? palette.focus : colourOf(palette, own.group);
    // A box of less than a pixel still leaves a trace.
    context.fillRect(x, y, Math.max(width, 1 / view.zoom), Math.max(height, 1 / view.zoom));
    return;
  }
  context.fillStyle = palette.surface;
  context.strokeStyle = palette.line;
  context.lineWidth = 1.2;
  context.setLineDash([]);
  if (roles?.size && lit) {
    context.strokeStyle = colourOf(palette, lit.group);
    context.lineWidth = roles.has('producer') ? 3.2 : 2;
    context.setLineDash(roles.has('producer') ? [] : roles.has('consumer') ? [6, 4] : [2, 3]);
  }
  if (inChain) [context.strokeStyle, context.lineWidth] = [palette.focus, 3];
  context.beginPath();
  context.roundRect(x, y, width, height, RADIUS);
  context.fill();
  context.stroke();
  context.setLineDash([]);
  if (own.block) {
    // A second edge below: there is more inside.
    context.beginPath();
    context.roundRect(x + 4, y + height + 0.5, width - 8, 3, [0, 0, 4, 4]);
    context.stroke();
  }
  context.fillStyle = colourOf(palette, own.group);
  context.beginPath();
  context.roundRect(x, y, 6, height, [RADIUS, 0, 0, RADIUS]);
  context.fill();
  const share = scene.shares?.[at];
  if (share !== undefined) context.fillRect(x + 8, y + height - 6, (width - 16) * share, 3);
  if (scene.selected === at || scene.hovered === at) {
    context.strokeStyle = scene.selected === at ? palette.focus : palette.quiet;
    context.lineWidth = 2 / Math.min(1, view.zoom);
    context.beginPath();
    context.roundRect(x - 4, y - 4, width + 8, height + 8, RADIUS + 3);
    context.stroke();
  }
  if (view.zoom < READABLE) return;
  context.fillStyle = palette.ink;
  context.font = `600 13px ${palette.font}`;
  context.textBaseline = 'middle';
  const second = seconds[at] ?? '';
  context.fillText(own.title, x + 15, y + (second === '' ? height / 2 : 16), width - 36);
  context.font = `400 12px ${palette.font}`;
  context.fillStyle = palette.quiet;
  if (second !== '') context.fillText(second, x + 15, y + 33, width - 24);
  if (own.pins.length > 0) pin(context, palette, x + width - 14, y + 15);
  if (scene.loose.has(at)) {
    context.fillStyle = palette.gone;
    context.font = `600 15px ${palette.font}`;
    context.fillText('\u2248', x + width - (own.pins.length > 0 ? 32 : 18), y + 16);
  }
}

/** The middle of an arrow. */
function middle(points: readonly (readonly [number, number])[]): readonly [number, number] | undefined {
  const [a, b] = [points[Math.floor((points.length - 1) / 2)], points[Math.ceil((points.length - 1) / 2)]];
  return a && b && [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
}

/** Widths, each on a piece of the ground so that the arrow does not cross it. */
function widths(context: CanvasRenderingContext2D, scene: Scene, palette: Palette, view: View, sight: Sight): void {
  if (view.zoom < READABLE) return;
  context.font = `500 11.5px ${palette.font}`;
  context.textBaseline = 'middle';
  context.textAlign = 'center';
  scene.labels.forEach((label, index) => {
    const points = scene.layout.arrows[index];
    const place = points && seen(points, sight, view.zoom) ? middle(points) : undefined;
    if (!place || label === '') return;
    const room = context.measureText(label).width + 8;
    const faint = scene.lit && !scene.shown.arrows[index]?.values.some((value) => scene.lit?.values.has(value));
    context.globalAlpha = 0.9;
    context.fillStyle = palette.ground;
    context.fillRect(place[0] - room / 2, place[1] - 8, room, 16);
    context.globalAlpha = faint ? 2 * FAINT : 1;
    context.fillStyle = scene.hoveredArrow === index ? palette.focus : label.includes('\u2192') ? palette.gone : palette.quiet;
    context.fillText(label, place[0], place[1] + 1);
  });
  context.textAlign = 'start';
  context.globalAlpha = 1;
}

/** A small lock. */
function pin(context: CanvasRenderingContext2D, palette: Palette, x: number, y: number): void {
  context.fillStyle = palette.gone;
  context.strokeStyle = palette.gone;
  context.lineWidth = 1.4;
  context.fillRect(x - 4, y - 1, 8, 6);
  context.beginPath();
  context.arc(x, y - 1, 2.6, Math.PI, 0);
  context.stroke();
}

/** A part of the canvas, in pixels of the page. */
export interface Area {
  left: number;
  width: number;
  height: number;
}

/** Draws what the view sees on a part of the canvas. */
export function paint(
  context: CanvasRenderingContext2D,
  scene: Scene,
  palette: Palette,
  view: View,
  { left: start, width, height }: Area,
  density: number,
): void {
  context.setTransform(density, 0, 0, density, 0, 0);
  context.save();
  context.beginPath();
  context.rect(start, 0, width, height);
  context.clip();
  context.clearRect(start, 0, width, height);
  context.translate(start + view.x, view.y);
  context.scale(view.zoom, view.zoom);
  const [left, top] = [-view.x / view.zoom, -view.y / view.zoom];
  const [right, bottom] = [left + width / view.zoom, top + height / view.zoom];
  const sight = { left, top, right, bottom };
  arrows(context, scene, palette, view, sight);
  widths(context, scene, palette, view, sight);
  scene.layout.boxes.forEach(([x, y], at) => {
    const [w, h] = scene.sizes[at] ?? [0, 0];
    if (x + w / 2 > left && x - w / 2 < right && y + h / 2 > top && y - h / 2 < bottom) box(context, scene, palette, at, view);
  });
  context.globalAlpha = 1;
  context.restore();
}

/** The title of a part, and the line that parts it from the one before. */
export function head(context: CanvasRenderingContext2D, palette: Palette, { left, height }: Area, words: string): void {
  context.font = `600 13px ${palette.font}`;
  context.textBaseline = 'middle';
  context.fillStyle = palette.ground;
  context.fillRect(left, 0, context.measureText(words).width + 24, 28);
  context.fillStyle = palette.ink;
  context.fillText(words, left + 12, 15);
  context.fillStyle = palette.line;
  if (left > 0) context.fillRect(left - 0.5, 0, 1, height);
}

/** The box at a point of the canvas. */
export function hit(scene: Scene, view: View, x: number, y: number): number | undefined {
  const [worldX, worldY] = [(x - view.x) / view.zoom, (y - view.y) / view.zoom];
  const found = scene.layout.boxes.findIndex(([boxX, boxY], at) => {
    const [w, h] = scene.sizes[at] ?? [0, 0];
    return Math.abs(worldX - boxX) <= w / 2 && Math.abs(worldY - boxY) <= h / 2;
  });
  return found < 0 ? undefined : found;
}

/** How far a point may be from an arrow that it means, in pixels of the page. */
const REACH = 7;

/** The arrow at a point of the canvas. */
export function hitArrow(scene: Scene, view: View, x: number, y: number): number | undefined {
  const [worldX, worldY] = [(x - view.x) / view.zoom, (y - view.y) / view.zoom];
  const away = ([ax, ay]: readonly [number, number], [bx, by]: readonly [number, number]): number => {
    const length = (bx - ax) ** 2 + (by - ay) ** 2;
    const along = length > 0 ? Math.min(1, Math.max(0, ((worldX - ax) * (bx - ax) + (worldY - ay) * (by - ay)) / length)) : 0;
    return Math.hypot(worldX - ax - along * (bx - ax), worldY - ay - along * (by - ay));
  };
  const found = scene.layout.arrows.findIndex((points, index) => {
    const place = middle(points);
    const onLabel = scene.labels[index] && place && Math.abs(worldX - place[0]) < 26 && Math.abs(worldY - place[1]) < 9;
    return onLabel || points.some((point, at) => at > 0 && away(points[at - 1] ?? point, point) * view.zoom < REACH);
  });
  return found < 0 ? undefined : found;
}

/** The view that shows everything, or where that would be smaller than `least`, the model's beginning. */
export function fit(layout: Layout, width: number, height: number, least = 0): View {
  const zoom = Math.max(least, Math.min(1.2, width / Math.max(1, layout.width), height / Math.max(1, layout.height)));
  const free = height - layout.height * zoom;
  const middle = free > 0 ? layout.width / 2 : (layout.boxes[0]?.[0] ?? 0);
  return { x: width / 2 - middle * zoom, y: Math.max(0, free / 2), zoom };
}
