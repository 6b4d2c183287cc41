/** Figures of the page as it is used. They are printed and kept; the limits here are generous, for the machine may be busy. */

import { writeFile } from 'node:fs/promises';
import { brotliCompressSync } from 'node:zlib';
import type { Page, TestInfo } from '@playwright/test';
import type { TestFile } from './files.js';
import { resnet50, tenThousand } from './large.js';
import { expect, test } from './page.js';

async function keep(info: TestInfo, figures: Record<string, number>): Promise<void> {
  const rounded = Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, Math.round(value * 1000) / 1000]));
  console.log(JSON.stringify({ figures: info.title, ...rounded }));
  const path = info.outputPath('figures.json');
  await writeFile(path, JSON.stringify(rounded, null, 2));
  await info.attach('figures', { path, contentType: 'application/json' });
}

/** Large files come from the disk, as a person's do. */
async function choose(page: Page, info: TestInfo, { name, bytes }: TestFile): Promise<void> {
  const path = info.outputPath(name);
  await writeFile(path, bytes);
  await page.locator('input[type=file]').first().setInputFiles(path);
}

const sorted = (values: number[]): number[] => [...values].sort((a, b) => a - b);
const median = (values: number[]): number => sorted(values)[Math.floor(values.length / 2)] ?? Number.NaN;
const most = (values: number[]): number => sorted(values).at(-1) ?? Number.NaN;

for (const width of [1280, 360]) test(`loading, ${width} pixels wide: first paint, bytes, blocking time, layout shift`, async ({ page }, info) => {
  await page.setViewportSize({ width, height: 800 });
  await page.addInitScript(() => {
    const seen = { shift: 0, blocked: 0, shifts: [] as string[] };
    Object.assign(window, { seen });
    type Shift = PerformanceEntry & { value: number; hadRecentInput: boolean; sources: { node?: Element }[] };
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as Shift[]) {
        if (entry.hadRecentInput) continue;
        seen.shift += entry.value;
        seen.shifts.push(...entry.sources.map(({ node }) => `${node?.nodeName}.${node?.className}`));
      }
    }).observe({ type: 'layout-shift', buffered: true });
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) seen.blocked += duration - 50;
    }).observe({ type: 'longtask', buffered: true });
  });
  const early: Promise<number>[] = [];
  let wasm = false;
  page.on('requestfinished', (request) => {
    wasm ||= new URL(request.url()).pathname.endsWith('.wasm');
  });
  page.on('response', (response) => {
    if (wasm || /\.(wasm|onnx)$/.test(new URL(response.url()).pathname)) return;
    early.push(response.body().then((body) => brotliCompressSync(body).length));
  });
  await page.goto('./');
  await expect(page.getByRole('button', { name: 'Try the sample' })).toBeEnabled({ timeout: 120_000 });
  const { paint, ready, seen } = await page.evaluate(() => ({
    paint: performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Number.NaN,
    ready: performance.now(),
    seen: (window as unknown as { seen: { shift: number; blocked: number; shifts: string[] } }).seen,
  }));
  const bytes = (await Promise.all(early)).reduce((sum, length) => sum + length, 0);
  await keep(info, { first_paint_ms: paint, engine_ready_ms: ready, kilobytes_before_wasm: bytes / 1000, blocking_ms: seen.blocked, layout_shift: seen.shift });
  expect(bytes).toBeLessThan(150_000);
  expect(paint).toBeLessThan(5000);
  expect(seen.blocked).toBeLessThan(3000);
  expect(seen.shift, seen.shifts.join(', ')).toBe(0);
});

test('the cut slider on a model of the size of ResNet-50', async ({ page, lopper }, info) => {
  await choose(page, info, resnet50());
  await expect(lopper.step('Model')).toContainText('resnet50.onnx', { timeout: 120_000 });
  await page.getByText('See the scores').click();
  await page.getByRole('button', { name: /^Show all \d+ groups/ }).last().click();
  await expect(page.locator('.histogram')).not.toHaveCount(0);
  const times = await page.evaluate(async () => {
    const slider = document.querySelector<HTMLInputElement>('.slider input');
    if (!slider) return [];
    const write = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value')?.set;
    const out: { changed: number; painted: number }[] = [];
    for (let step = 0; step < 40; step += 1) {
      const before = document.querySelector('.estimate')?.textContent;
      const start = performance.now();
      write?.call(slider, String(0.2 + step * 0.015));
      slider.dispatchEvent(new Event('input', { bubbles: true }));
      while (document.querySelector('.estimate')?.textContent === before) await new Promise((then) => setTimeout(then));
      const changed = performance.now() - start;
      await new Promise((then) => requestAnimationFrame(() => setTimeout(then)));
      out.push({ changed, painted: performance.now() - start });
    }
    return out;
  });
  expect(times).toHaveLength(40);
  const changed = times.map((time) => time.changed);
  const painted = times.map((time) => time.painted);
  await keep(info, { updated_ms: median(changed), updated_worst_ms: most(changed), painted_ms: median(painted), painted_worst_ms: most(painted) });
  expect(median(changed)).toBeLessThan(500);
});

/** Drags the drawing about for a while; the time of each frame. */
function pan(page: Page): Promise<number[]> {
  return page.evaluate(async () => {
    const canvas = document.querySelector('.graph-canvas canvas');
    if (!canvas) return [];
    const { left, top, width, height } = canvas.getBoundingClientRect();
    const at = (turn: number) => ({
      clientX: left + width / 2 + Math.sin(turn) * width * 0.3,
      clientY: top + height / 2 + Math.cos(turn) * height * 0.3,
      pointerId: 1,
      bubbles: true,
    });
    canvas.setPointerCapture = () => undefined;
    canvas.dispatchEvent(new PointerEvent('pointerdown', at(0)));
    const frames: number[] = [];
    let last = performance.now();
    for (let frame = 0; frame < 90; frame += 1) {
      canvas.dispatchEvent(new PointerEvent('pointermove', at(frame / 12)));
      await new Promise((then) => requestAnimationFrame(then));
      const now = performance.now();
      frames.push(now - last);
      last = now;
    }
    canvas.dispatchEvent(new PointerEvent('pointercancel', at(0)));
    return frames;
  });
}

test('a graph of ten thousand nodes', async ({ page, lopper }, info) => {
  await choose(page, info, tenThousand());
  await expect(lopper.step('Model')).toContainText('tenthousand.onnx', { timeout: 120_000 });
  /** From a click until the canvas has been painted. */
  const drawn = async (click: () => Promise<void>): Promise<number> => {
    const start = Date.now();
    await click();
    await expect(page.locator('.graph-canvas[aria-busy=false]')).toBeVisible({ timeout: 200_000 });
    await page.evaluate(() => new Promise((then) => requestAnimationFrame(() => requestAnimationFrame(then))));
    return Date.now() - start;
  };
  const blocks = await drawn(() => page.getByText('See the graph').click());
  const framesOfBlocks = await pan(page);
  const more = page.getByRole('button', { name: 'More boxes' });
  let all = Number.NaN;
  while (await more.isEnabled()) all = await drawn(() => more.click());
  await expect(page.locator('.graph')).toContainText(/10,?00\d nodes\./);
  const frames = await pan(page);
  await page.getByRole('button', { name: 'Show all', exact: true }).click();
  const framesOfWhole = await pan(page);
  await keep(info, {
    blocks_drawn_ms: blocks,
    all_drawn_ms: all,
    blocks_frames_a_second: 1000 / median(framesOfBlocks),
    all_frames_a_second: 1000 / median(frames),
    whole_in_sight_frames_a_second: 1000 / median(framesOfWhole),
  });
  expect(blocks).toBeLessThan(10_000);
});
