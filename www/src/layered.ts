/**
 * Places thousands of boxes in layers within a second, where dagre would take minutes or run out of stack.
 *
 * Layers by the longest path, orders by the mean place of neighbours, then places by their mean position: the steps of
 * Sugiyama, Tagawa and Toda (1981) with the cheapest rule for each.
 */

import type { Boxes, Layout } from './protocol.js';

const MARGIN = 24;
const BESIDE = 28;
const BELOW = 30;
/** Sweeps down and up that order and place. */
const SWEEPS = 4;
/** Arrows over more layers than this are not led around the boxes between. */
const LONG = 40;

/** A box, or a bend of an arrow in a layer that it only passes. */
interface Item {
  width: number;
  layer: number;
  x: number;
  before: Item[];
  after: Item[];
}

/** Boxes come in the order of their work, so an arrow that points back closes a cycle and counts as turned around. */
function layersOf({ sizes, arrows }: Boxes): number[] {
  const after: number[][] = sizes.map(() => []);
  for (const [from, to] of arrows) after[Math.min(from, to)]?.push(Math.max(from, to));
  const layers = sizes.map(() => 0);
  after.forEach((targets, box) => {
    for (const target of targets) layers[target] = Math.max(layers[target] ?? 0, (layers[box] ?? 0) + 1);
  });
  // What reads nothing stands right above its first reader, not at the top.
  const read = new Set(after.flat());
  return layers.map((layer, box) => {
    const first = (after[box] ?? []).reduce((least, target) => Math.min(least, layers[target] ?? 0), Number.POSITIVE_INFINITY);
    return read.has(box) || first === Number.POSITIVE_INFINITY ? layer : first - 1;
  });
}

const mean = (items: readonly Item[], fallback: number): number =>
  items.length === 0 ? fallback : items.reduce((sum, { x }) => sum + x, 0) / items.length;

/** Orders a layer by where its neighbours are and puts it there, as close as widths allow. */
function settle(layer: Item[], neighbours: 'before' | 'after'): void {
  const wanted = new Map(layer.map((item) => [item, mean(item[neighbours], item.x)]));
  const want = (item: Item): number => wanted.get(item) ?? 0;
  layer.sort((a, b) => want(a) - want(b));
  let edge = Number.NEGATIVE_INFINITY;
  let off = 0;
  for (const item of layer) {
    item.x = Math.max(want(item), edge + item.width / 2);
    edge = item.x + item.width / 2 + BESIDE;
    off += item.x - want(item);
  }
  // Whoever had to make room pushed to the right only: the layer as a whole goes back.
  for (const item of layer) item.x -= off / layer.length;
}

function join(from: Item, to: Item): void {
  from.after.push(to);
  to.before.push(from);
}

/** Bends of an arrow, from its upper box to its lower one. */
function bends(upper: Item, lower: Item, layers: Item[][]): Item[] {
  const out: Item[] = [];
  let last = upper;
  if (lower.layer - upper.layer <= LONG) {
    for (let layer = upper.layer + 1; layer < lower.layer; layer += 1) {
      const bend: Item = { width: 0, layer, x: 0, before: [], after: [] };
      layers[layer]?.push(bend);
      join(last, bend);
      out.push(bend);
      last = bend;
    }
  }
  join(last, lower);
  return out;
}

export function layered(boxes: Boxes): Layout {
  const { sizes, arrows } = boxes;
  const place = layersOf(boxes);
  const layers: Item[][] = Array.from({ length: place.reduce((most, layer) => Math.max(most, layer), 0) + 1 }, () => []);
  const items = sizes.map(([width], box): Item => ({ width, layer: place[box] ?? 0, x: 0, before: [], after: [] }));
  for (const item of items) layers[item.layer]?.push(item);
  const bent = arrows.map(([from, to]) => {
    const [upper, lower] = [items[Math.min(from, to)], items[Math.max(from, to)]];
    return upper && lower && upper !== lower ? bends(upper, lower, layers) : [];
  });
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    for (const layer of layers) settle(layer, 'before');
    for (const layer of layers.toReversed()) settle(layer, 'after');
  }
  const all = layers.flat();
  const left = all.reduce((least, { x, width }) => Math.min(least, x - width / 2), Number.POSITIVE_INFINITY);
  const right = all.reduce((most, { x, width }) => Math.max(most, x + width / 2), Number.NEGATIVE_INFINITY);
  const heights = layers.map(() => 0);
  sizes.forEach(([, height], box) => {
    const layer = place[box] ?? 0;
    heights[layer] = Math.max(heights[layer] ?? 0, height);
  });
  let top = MARGIN;
  const middles = heights.map((height) => {
    top += height + BELOW;
    return top - BELOW - height / 2;
  });
  const at = (item: Item): [number, number] => [item.x - left + MARGIN, middles[item.layer] ?? 0];
  const edge = (box: number, below: boolean): [number, number] => {
    const item = items[box];
    const [x, y] = item ? at(item) : [0, 0];
    const half = (sizes[box]?.[1] ?? 0) / 2;
    return [x, below ? y + half : y - half];
  };
  return {
    width: right - left + 2 * MARGIN,
    height: top - BELOW + MARGIN,
    boxes: items.map(at),
    arrows: arrows.map(([from, to], arrow) => {
      const points = (bent[arrow] ?? []).map(at);
      return [edge(from, from < to), ...(from < to ? points : points.toReversed()), edge(to, from > to)];
    }),
  };
}
