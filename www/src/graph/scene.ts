/** The drawing's state: what is shown, what is lit, and how it comes to be laid out. */

import { computed, effect, signal, untracked } from '@preact/signals';
import { client, notify } from '../actions/session.js';
import { Failed } from '../client.js';
import type { Drawing, Layout, Link, Role } from '../protocol.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { type Shown, collapse, fitting, levels, paths, size } from './boxes.js';

/** Which of the levels is shown. */
export const level = signal(0);
export const opened = signal<ReadonlySet<string>>(new Set());
export const selected = signal<number | undefined>(undefined);
/** The group whose members are lit. */
export const lit = signal<number | undefined>(undefined);
/** Nodes of a chain of unions that is walked, by name. */
export const chain = signal<ReadonlySet<string>>(new Set());
/** The box or arrow under the pointer. */
export const hovered = signal<{ box: number } | { arrow: number } | undefined>(undefined);
/** Which widths stand on the arrows; `beside`: the drawing twice, before the cut and after it. */
export type Labels = 'none' | 'before' | 'after' | 'both' | 'beside';
export const widths = signal<Labels>('both');
/** Shapes of the drawing's values after the present plan's cut, as far as they are known. */
export const after = signal<(string[] | null)[] | undefined>(undefined);
/** A layout is being worked out. */
export const arranging = signal(false);
export const laidOut = signal<{ shown: Shown; layout: Layout } | undefined>(undefined);

export const allPaths = computed(() => (store.drawing.value ? paths(store.drawing.value) : []));
export const allLevels = computed(() => levels(allPaths.value));

/** How wide each group is and what is left of it, by its place. */
export type Widths = readonly { all: number; left: number }[];

const kept = computed<Widths>(() => {
  const left = new Map(store.shown.value?.groups.map((group) => [group.name, group.kept]));
  return (store.model.value?.groups ?? []).map((group) => ({ all: group.channels, left: left.get(group.name) ?? group.channels }));
});

/** `64 → 32 channels` of the groups that a box makes, or how many nodes are in it. */
export const seconds = computed<string[]>(() => {
  const [now, drawing] = [laidOut.value, store.drawing.value];
  return now && drawing ? secondsOf(now.shown, drawing, kept.value) : [];
});

export function secondsOf(shown: Shown, drawing: Drawing, widths: Widths): string[] {
  return shown.boxes.map((box) => {
    if (box.block) return text.graph.nodes(box.nodes.length);
    return second(drawing, box.nodes[0] ?? 0, widths);
  });
}

function second(drawing: Drawing, node: number, widths: Widths): string {
  const own = drawing.nodes[node];
  const made = own?.members.find(([, role]) => role === 'producer');
  const width = made && widths[made[0]];
  if (width) return width.left === width.all ? `${width.all}` : `${width.all} → ${width.left}`;
  return own?.op === 'Input' || own?.op === 'Output' ? own.name : '';
}

/** Room for a second line that may grow when something is cut. */
const room = (drawing: Drawing, node: number, widths: Widths): string => {
  const words = second(drawing, node, widths);
  return words === '' ? '' : words.padEnd(9);
};

export const sizes = computed<[number, number][]>(() => {
  const [now, drawing] = [laidOut.value, store.drawing.value];
  return now && drawing ? sizesOf(now.shown, drawing, kept.value) : [];
});

export function sizesOf(shown: Shown, drawing: Drawing, widths: Widths): [number, number][] {
  return shown.boxes.map((box) => {
    return size(box, box.block ? text.graph.nodes(box.nodes.length) : room(drawing, box.nodes[0] ?? 0, widths));
  });
}

/** The width of a value: of the axis that the cut shortens, or else of its channels. */
function width(drawing: Drawing, value: number, show: Labels): string {
  const [before, left] = [drawing.values[value]?.shape, after.value?.[value]];
  if (!before || show === 'none') return '';
  const cut = left ? before.findIndex((length, axis) => left[axis] !== length) : -1;
  const axis = cut >= 0 ? cut : Math.min(1, before.length - 1);
  const [from, to] = [before[axis] ?? '', left?.[axis] ?? before[axis] ?? ''];
  if (show === 'both') return from === to ? from : `${from} → ${to}`;
  return show === 'before' ? from : to;
}

/** What stands on each arrow of one drawing. */
export interface Half {
  labels: readonly string[];
  seconds: readonly string[];
  /** Of each box, the share of the channels it makes that is left; nothing where it makes none. */
  shares: readonly (number | undefined)[];
  /** Boxes that the cut takes away as a whole. */
  gone: ReadonlySet<number>;
}

const labelsOf = (show: Labels): string[] => {
  const [now, drawing] = [laidOut.value, store.drawing.value];
  return now && drawing ? now.shown.arrows.map(({ values }) => width(drawing, values[0] ?? -1, show)) : [];
};

/** What stands on each arrow, where there is one drawing. */
export const labels = computed(() => labelsOf(widths.value));

const uncut = computed<Widths>(() => kept.value.map(({ all }) => ({ all, left: all })));
const cut = computed<Widths>(() => kept.value.map(({ left }) => ({ all: left, left })));

/** What the two drawings show that stand side by side: before the cut, and after it. */
export const halves = computed<readonly [Half, Half] | undefined>(() => {
  const [now, drawing, left] = [laidOut.value, store.drawing.value, after.value];
  if (!now || !drawing || widths.value !== 'beside') return undefined;
  const shares = now.shown.boxes.map((box) => {
    const made = box.nodes.flatMap((node) => drawing.nodes[node]?.members.filter(([, role]) => role === 'producer') ?? []);
    const sum = (of: 'all' | 'left'): number => made.reduce((total, [group]) => total + (kept.value[group]?.[of] ?? 0), 0);
    return made.length > 0 && sum('all') > 0 ? sum('left') / sum('all') : undefined;
  });
  const emptied = (value: number): boolean => left?.[value]?.includes('0') === true && drawing.values[value]?.shape?.includes('0') === false;
  const outputs = new Map<number, number[]>();
  for (const { from, values } of now.shown.arrows) outputs.set(from, [...(outputs.get(from) ?? []), ...values]);
  const gone = new Set([...outputs].flatMap(([box, values]) => (values.every(emptied) ? [box] : [])));
  const half = (show: Labels, of: Widths): Pick<Half, 'labels' | 'seconds'> => ({
    labels: labelsOf(show),
    seconds: secondsOf(now.shown, drawing, of),
  });
  return [
    { ...half('before', uncut.value), shares: shares.map((share) => share && 1), gone: new Set() },
    { ...half('after', cut.value), shares, gone },
  ];
});

/** Boxes with a statistic that runs over channels: a cut there is close, not exact. */
export const loose = computed<ReadonlySet<number>>(() => {
  const [now, drawing] = [laidOut.value, store.drawing.value];
  const names = new Set(store.model.value?.groups.flatMap((group) => group.renormalised));
  if (!now || !drawing || names.size === 0) return new Set();
  return new Set(drawing.nodes.flatMap((node, index) => (names.has(node.name) ? [now.shown.boxOf[index] ?? 0] : [])));
});

/** The first value that a box hands on, or that an arrow carries. */
export function valueAt(place: { box: number } | { arrow: number } | undefined): string | undefined {
  const [now, drawing] = [laidOut.value, store.drawing.value];
  if (!now || !drawing || !place) return undefined;
  const arrow = 'arrow' in place ? now.shown.arrows[place.arrow] : now.shown.arrows.find(({ from }) => from === place.box);
  return drawing.values[arrow?.values[0] ?? -1]?.name;
}

/** Selects the box after the selected one, or before it. */
export function step(by: 1 | -1): number | undefined {
  const count = laidOut.value?.shown.boxes.length ?? 0;
  if (count === 0) return undefined;
  const now = selected.value ?? (by > 0 ? -1 : 0);
  const next = (now + by + count) % count;
  select(next);
  return next;
}

/** What each box is to the group that is lit, and the values that carry its channels. */
export const light = computed(() => {
  const [group, now, drawing] = [lit.value, laidOut.value, store.drawing.value];
  if (group === undefined || !now || !drawing) return undefined;
  const roles = now.shown.boxes.map((box) => {
    const members = box.nodes.flatMap((node) => drawing.nodes[node]?.members ?? []);
    return new Set<Role>(members.filter(([own]) => own === group).map(([, role]) => role));
  });
  const values = new Set(drawing.values.flatMap((value, index) => (value.groups.includes(group) ? [index] : [])));
  return { group, roles, values };
});

export const chainBoxes = computed<ReadonlySet<number>>(() => {
  const [names, now, drawing] = [chain.value, laidOut.value, store.drawing.value];
  if (!now || !drawing || names.size === 0) return new Set();
  return new Set(drawing.nodes.flatMap((node, index) => (names.has(node.name) ? [now.shown.boxOf[index] ?? 0] : [])));
});

/** Lights the nodes of a chain. */
export function walk(links: readonly Link[]): void {
  chain.value = new Set(links.map((link) => link.node));
}

/** Fetches the model's graph, if it is not there yet. */
export async function draw(): Promise<void> {
  if (store.drawing.value) return;
  try {
    const drawing = await client.call('drawing', null);
    selected.value = undefined;
    lit.value = undefined;
    chain.value = new Set();
    opened.value = new Set();
    level.value = fitting(paths(drawing));
    store.drawing.value = drawing;
  } catch (thrown) {
    notify('bad', thrown instanceof Error ? thrown.message : String(thrown), thrown instanceof Failed ? thrown.code : undefined);
  }
}

/** Keeps the layout in step with what is shown; the newest wish counts. Returns how to stop. */
export function followLayout(): () => void {
  let wish = 0;
  return effect(() => {
    const drawing = store.drawing.value;
    if (!drawing) {
      laidOut.value = undefined;
      return;
    }
    const shown = collapse(drawing, allPaths.value, allLevels.value[level.value]?.depth ?? 1, opened.value, store.model.peek()?.pinned ?? []);
    wish += 1;
    const mine = wish;
    arranging.value = true;
    // Sizes read what a cut leaves, and a cut must not lay everything out anew.
    const boxes = untracked(() => sizesOf(shown, drawing, kept.value));
    const arrows = shown.arrows.map(({ from, to }): [number, number] => [from, to]);
    client.call('layout', { sizes: boxes, arrows }).then(
      (layout) => {
        if (mine !== wish) return;
        arranging.value = false;
        const node = selected.peek() === undefined ? undefined : laidOut.peek()?.shown.boxes[selected.peek() ?? 0]?.nodes[0];
        laidOut.value = { shown, layout };
        selected.value = node === undefined ? undefined : shown.boxOf[node];
      },
      () => {
        // The engine stopped; the drawing is fetched anew with the next one.
        if (mine === wish) arranging.value = false;
      },
    );
  });
}

/** Selects a box and lights the first group that it makes, or else one that it stands in or hands on. */
export function select(box: number | undefined): void {
  selected.value = box;
  chain.value = new Set();
  const drawing = store.drawing.value;
  const own = box === undefined ? undefined : laidOut.value?.shown.boxes[box];
  if (!own || !drawing) {
    lit.value = undefined;
    return;
  }
  const members = own.nodes.flatMap((node) => drawing.nodes[node]?.members ?? []);
  const made = members.find(([, role]) => role === 'producer');
  lit.value = (made ?? members[0])?.[0] ?? own.group;
}

/** Shows what is in a box. */
export function openBox(box: number): void {
  const own = laidOut.value?.shown.boxes[box];
  if (own?.block) opened.value = new Set([...opened.value, own.key]);
}

export function setLevel(next: number): void {
  opened.value = new Set();
  level.value = Math.min(allLevels.value.length - 1, Math.max(0, next));
}
