/** The report's pictures as SVG: bars, histograms, the curve of the loss, the graph. */

import * as format from '../format.js';
import { type Shown, collapse, fitting, levels, paths } from '../graph/boxes.js';
import { type Widths, secondsOf, sizesOf } from '../graph/scene.js';
import type { Drawing, GroupScores, Layout, Pin } from '../protocol.js';
import type { LossPoint } from '../store.js';
import { text } from '../strings.js';
import { heights, line } from '../views/scores.js';
import { type Markup, NOTHING, html } from './html.js';

const round = (value: number): number => Math.round(value * 10) / 10;

/** A bar of what stays, with what goes behind it; `widest` is the length of the whole picture. */
export function bar(kept: number, all: number, widest: number): Markup {
  const [stays, goes] = [(kept / widest) * 200, ((all - kept) / widest) * 200];
  return html`<svg class="bar" viewBox="0 0 200 10" width="200" height="10" preserveAspectRatio="none" aria-hidden="true">
    <rect class="gone" x="${round(stays)}" width="${round(goes)}" height="10" /><rect class="kept" width="${round(stays)}" height="10" /></svg>`;
}

const [BAR, TALL] = [7, 60];

/** A group's scores, with the line between what goes and what stays. */
export function histogram(group: GroupScores, gone: number): Markup {
  const seen = heights(group.scores);
  const width = seen.bins.length * BAR;
  const at = line(seen, gone) * width;
  const bars = seen.bins.map((count, bin) => {
    const height = count === 0 ? 0 : Math.max(2, (count / seen.fullest) * (TALL - 4));
    const goes = gone > 0 && (bin + 0.5) * BAR < at;
    return html`<rect class="${goes ? 'gone' : 'kept'}" x="${bin * BAR}" y="${round(TALL - height)}" width="${BAR - 1}" height="${round(height)}" />`;
  });
  const threshold = gone > 0 ? html`<line class="threshold" x1="${round(at)}" x2="${round(at)}" y1="0" y2="${TALL}" />` : NOTHING;
  return html`<svg viewBox="0 0 ${width} ${TALL + 1}" role="img" aria-label="${text.scores.of(group.name, gone, group.scores.length)}">
    ${bars}${threshold}<line class="axis" x2="${width}" y1="${TALL}" y2="${TALL}" /></svg>`;
}

/** Room around the curve for its numbers. */
const FRAME = { left: 52, right: 56, top: 12, bottom: 26, width: 760, height: 260 };
/** More points than this cannot be told apart. */
const POINTS = 600;

/** The loss by step, and the accuracy on the validation images. */
export function curve(points: readonly LossPoint[]): Markup {
  const last = points.at(-1)?.step ?? 1;
  const most = Math.max(...points.map(({ loss }) => loss), 1e-9);
  const { left, right, top, bottom, width, height } = FRAME;
  const x = (step: number): number => round(left + (step / last) * (width - left - right));
  const y = (share: number): number => round(height - bottom - share * (height - top - bottom));
  const every = Math.ceil(points.length / POINTS);
  const losses = points.filter((_, index) => index % every === 0).map(({ step, loss }) => `${x(step)},${y(loss / most)}`);
  const judged = points.flatMap(({ step, validation }) => (validation === null ? [] : [[x(step), y(validation)] as const]));
  const ticks = [0, 0.25, 0.5, 0.75, 1].map(
    (share) => html`<line class="grid" x1="${left}" x2="${width - right}" y1="${y(share)}" y2="${y(share)}" />
      <text x="${left - 8}" y="${y(share) + 4}" text-anchor="end">${format.fixed(share * most, 2)}</text>
      <text x="${width - right + 8}" y="${y(share) + 4}">${format.percent(share)}</text>`,
  );
  return html`<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${text.tune.curve}">
    ${ticks}
    <text x="${left}" y="${height - 6}">0</text>
    <text x="${width - right}" y="${height - 6}" text-anchor="end">${format.exactly(last)}</text>
    <polyline class="loss" points="${losses.join(' ')}" />
    <polyline class="judged" points="${judged.map((point) => point.join(',')).join(' ')}" />
    ${judged.map(([cx, cy]) => html`<circle class="judge" cx="${cx}" cy="${cy}" r="4" />`)}</svg>`;
}

/** What is drawn of a graph, before it is laid out: blocks, so that it can be taken in at a glance. */
export function boxes(drawing: Drawing, pinned: readonly Pin[]): Shown {
  const all = paths(drawing);
  return collapse(drawing, all, levels(all)[fitting(all)]?.depth ?? 1, new Set(), pinned);
}

/** The graph, each box in the colour of its group. */
export function graph(shown: Shown, layout: Layout, drawing: Drawing, widths: Widths): Markup {
  const sizes = sizesOf(shown, drawing, widths);
  const seconds = secondsOf(shown, drawing, widths);
  const arrows = layout.arrows.map((points) => {
    const [first, ...others] = points.map(([x, y]) => `${round(x)} ${round(y)}`);
    return html`<path class="arrow" d="M${first ?? ''}L${others.join(' ')}" marker-end="url(#tip)" />`;
  });
  const drawn = shown.boxes.map((box, at) => {
    const [x, y] = layout.boxes[at] ?? [0, 0];
    const [width, height] = sizes[at] ?? [0, 0];
    const second = seconds[at] ?? '';
    const group = box.group === undefined ? 'none' : String(box.group % 6);
    return html`<g transform="translate(${round(x - width / 2)} ${round(y - height / 2)})">
      <rect class="box" width="${round(width)}" height="${round(height)}" rx="7" /><rect class="group-${group}" width="6" height="${round(height)}" rx="3" />
      <text class="op" x="15" y="${second === '' ? height / 2 + 4 : 20}">${box.title}</text>
      ${second === '' ? NOTHING : html`<text x="15" y="37">${second}</text>`}</g>`;
  });
  return html`<svg viewBox="0 0 ${round(layout.width)} ${round(layout.height)}" width="${round(layout.width)}" role="img" aria-label="${text.graph.title}">
    <defs><marker id="tip" markerWidth="8" markerHeight="8" refX="6" refY="3" orient="auto"><path class="tip" d="M0 0L6 3L0 6z" /></marker></defs>
    ${arrows}${drawn}</svg>`;
}
