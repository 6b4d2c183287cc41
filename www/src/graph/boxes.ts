/** Which boxes stand for a model's nodes: single nodes, or blocks of them by the names that the exporter gave. */

import type { Drawing, Pin } from '../protocol.js';

/** More boxes than this are neither laid out quickly nor taken in at a glance. */
const MOST = 260;
/** Nodes of a box where names tell no blocks. */
const RUN = 40;
const NONE: ReadonlySet<string> = new Set();

export interface Box {
  /** Stays the same while other boxes open and close. */
  key: string;
  nodes: number[];
  title: string;
  /** A block can be opened. */
  block: boolean;
  /** The first group whose channels it hands on: its colour. */
  group: number | undefined;
  pins: Pin[];
}

export interface Shown {
  boxes: Box[];
  /** From box, to box, with the values between them. */
  arrows: { from: number; to: number; values: number[] }[];
  /** The box of each node. */
  boxOf: number[];
}

/** The blocks around each node, outermost first. */
export function paths({ nodes, edges }: Drawing): string[][] {
  const before = new Map<number, number>();
  for (const [from, to] of edges) before.set(to, Math.max(from, before.get(to) ?? -1));
  const out: string[][] = [];
  nodes.forEach(({ name, op, parameter }, node) => {
    const words = name.split('/').filter((word) => word !== '');
    const end = op === 'Input' || op === 'Output';
    if (end) out.push([]);
    else if (words.length > 1) out.push(words.slice(0, -1));
    else if (parameter?.includes('.')) out.push(parameter.split('.').slice(0, -1));
    else out.push(out[before.get(node) ?? -1] ?? []);
  });
  // What only reads parameters belongs to whoever reads it.
  for (const [from, to] of [...edges].reverse()) {
    const path = out[to];
    if (!before.has(from) && out[from]?.length === 0 && path && nodes[from]?.op !== 'Input') out[from] = path;
  }
  const nameless = out.every((path) => path.length === 0) && nodes.length > MOST;
  return nameless ? nodes.map(({ op }, node) => (op === 'Input' || op === 'Output' ? [] : [run(node)])) : out;
}

const run = (node: number): string => {
  const first = Math.floor(node / RUN) * RUN;
  return `${first + 1}\u2013${first + RUN}`;
};

/** A block's name, or none where the node stands for itself at this depth. */
function blockOf(path: readonly string[], depth: number, opened: ReadonlySet<string>): string | undefined {
  for (let length = depth; length <= path.length; length += 1) {
    const name = path.slice(0, length).join('/');
    if (!opened.has(name)) return name;
  }
  return undefined;
}

/** Depths that show different numbers of boxes, from the fewest to every node. */
export function levels(all: readonly string[][]): { depth: number; boxes: number }[] {
  const deepest = 1 + Math.max(0, ...all.map((path) => path.length));
  const out: { depth: number; boxes: number }[] = [];
  for (let depth = 1; depth <= deepest; depth += 1) {
    const boxes = new Set(all.map((path, node) => blockOf(path, depth, NONE) ?? node)).size;
    if (out.at(-1)?.boxes === boxes) out.pop();
    out.push({ depth, boxes });
  }
  return out;
}

/** The finest level that is still taken in at a glance. */
export const fitting = (all: readonly string[][]): number =>
  Math.max(0, levels(all).findLastIndex(({ boxes }) => boxes <= MOST));

export function collapse(
  drawing: Drawing,
  all: readonly string[][],
  depth: number,
  opened: ReadonlySet<string>,
  pinned: readonly Pin[],
): Shown {
  const boxes: Box[] = [];
  const byKey = new Map<string, number>();
  const pins = byNode(pinned);
  const boxOf = drawing.nodes.map((node, index) => {
    const block = blockOf(all[index] ?? [], depth, opened);
    const key = block ?? `#${index}`;
    const at = byKey.get(key) ?? boxes.length;
    if (at === boxes.length) {
      byKey.set(key, at);
      const title = block === undefined ? node.op : (block.split('/').at(-1) ?? block);
      boxes.push({ key, nodes: [], title, block: block !== undefined, group: undefined, pins: [] });
    }
    const box = boxes[at];
    box?.nodes.push(index);
    box?.pins.push(...(pins.get(node.name) ?? []));
    return at;
  });
  // A block of one node is that node.
  for (const box of boxes) {
    const [only, ...others] = box.nodes;
    if (box.block && only !== undefined && others.length === 0) {
      box.block = false;
      box.title = drawing.nodes[only]?.op ?? box.title;
    }
  }
  const arrows = new Map<string, Shown['arrows'][number]>();
  for (const [fromNode, toNode, value] of drawing.edges) {
    const from = boxOf[fromNode] ?? 0;
    const to = boxOf[toNode] ?? 0;
    const box = boxes[from];
    const [first] = drawing.values[value]?.groups ?? [];
    if (from === to) continue;
    if (box && first !== undefined) box.group ??= first;
    const key = `${from}>${to}`;
    const arrow = arrows.get(key);
    if (arrow) arrow.values.push(value);
    else arrows.set(key, { from, to, values: [value] });
  }
  return { boxes, arrows: [...arrows.values()], boxOf };
}

function byNode(pinned: readonly Pin[]): Map<string, Pin[]> {
  const out = new Map<string, Pin[]>();
  for (const pin of pinned) out.set(pin.node, [...(out.get(pin.node) ?? []), pin]);
  return out;
}

/** Pixels of a box at its natural size; letters are not measured, so that layout needs no canvas. */
export function size(box: Box, second: string): [width: number, height: number] {
  const letters = Math.max(box.title.length * 7.6, second.length * 6.4);
  return [Math.min(230, Math.max(76, letters + 34)), second === '' ? 32 : 46];
}
