import { expectAccessible } from './axe.js';
import { colourZip, smallModel } from './files.js';
import { type Lopper, expect, test } from './page.js';
import type { Page } from '@playwright/test';

async function open(lopper: Lopper, page: Page): Promise<void> {
  await lopper.drop(smallModel(), colourZip());
  await expect(lopper.step('Data')).toContainText('4 classes');
  await page.getByText('Look inside a layer').click();
}

/** Something other than one colour is on a canvas. */
const painted = (canvas: HTMLCanvasElement): number => {
  const data = canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data ?? [];
  const colours = new Set<string>();
  for (let at = 0; at < data.length; at += 4) colours.add(`${data[at]},${data[at + 1]},${data[at + 2]}`);
  return colours.size;
};

test('filters are pictures in the order of their scores, and those that go are marked', async ({ lopper, page }) => {
  await open(lopper, page);
  const panel = page.locator('#panel-layer');
  const filters = panel.getByRole('button', { name: /^Filter \d+, score/ });
  await expect(filters).toHaveCount(16);
  await expect(panel).toContainText('8 of 16 go by the present plan');
  const names = await filters.evaluateAll((all) => all.map((one) => one.getAttribute('aria-label') ?? ''));
  const scores = names.map((name) => Number(/score ([\d.]+)/.exec(name)?.[1]));
  expect(scores).toEqual([...scores].sort((a, b) => a - b));
  // By the L1 norm the weakest half goes.
  expect(names.map((name) => name.endsWith(', goes'))).toEqual(names.map((_, at) => at < 8));
  expect(await filters.first().locator('canvas').evaluate(painted)).toBeGreaterThan(4);
  await filters.first().click();
  await expect(panel.locator('.filter-parts li')).toHaveCount(3);
  await page.getByLabel('Layer', { exact: true }).selectOption({ label: 'second.weight (Conv, 24)' });
  await expect(filters).toHaveCount(24);
  await filters.nth(3).click();
  await expect(panel.locator('.filter-parts li')).toHaveCount(16);
  // Another amount marks others at once.
  await page.getByRole('slider', { name: 'Channels to cut' }).focus();
  await page.keyboard.press('Home');
  await expect(panel).toContainText('0 of 24 go by the present plan');
  expect(lopper.complaints).toEqual([]);
});

test('feature maps of one image, and channels that are always silent', async ({ lopper, page }) => {
  await open(lopper, page);
  const panel = page.locator('#panel-layer');
  await panel.getByRole('radio', { name: 'Feature maps' }).check();
  const maps = panel.getByRole('img', { name: /^Channel \d+, at most/ });
  await expect(maps).toHaveCount(16);
  await expect(panel.getByRole('img', { name: /goes$/ })).toHaveCount(8);
  const most = Math.max(...(await maps.locator('canvas').evaluateAll((all) => all.map((one) => (one as HTMLCanvasElement).width))));
  expect(most).toBe(16);
  const ranges = (): Promise<string[]> => maps.evaluateAll((all) => all.map((one) => one.getAttribute('aria-label') ?? ''));
  const first = await ranges();
  await panel.getByRole('button', { name: /^red, image/ }).first().click();
  await expect.poll(ranges).not.toEqual(first);
  await lopper.button('Find channels that are always silent').click();
  await expect(panel.locator('.silent')).toContainText(/of the 16 channels here .* 1\d\d images/, { timeout: 60_000 });
  expect(lopper.requests).toEqual([]);
  expect(lopper.complaints).toEqual([]);
});

test('filters as points around their geometric median', async ({ lopper, page }) => {
  await open(lopper, page);
  await page.getByRole('combobox', { name: 'Measure', exact: true }).selectOption('fpgm_l2');
  const panel = page.locator('#panel-layer');
  await panel.getByRole('radio', { name: 'Filters as points' }).check();
  await expect(panel.getByRole('img', { name: '16 filters as points around their geometric median; the 8 nearest' })).toBeVisible();
  await expect(panel.locator('.plane circle.plane-far')).toHaveCount(8);
  await expect(panel.locator('.plane rect.plane-near')).toHaveCount(8);
  // Where the plan is made by the same distances of one layer, it cuts the same filters.
  await expect(panel).toContainText('The present plan cuts 8 of these 8 as well.');
  await panel.getByText('Filters by their sum of distances').click();
  const rows = panel.locator('details tbody tr');
  await expect(rows).toHaveCount(16);
  const sums = await rows.evaluateAll((all) => all.map((row) => Number(row.querySelector('td')?.textContent)));
  expect(sums).toEqual([...sums].sort((a, b) => a - b));
  await expect(rows.first()).toContainText('goes');
  await expect(rows.last()).toContainText('stays');
});

for (const scheme of ['light', 'dark'] as const) {
  test(`axe finds nothing inside a layer, ${scheme}, and nothing is wider than a phone`, async ({ lopper, page }) => {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
    await open(lopper, page);
    const panel = page.locator('#panel-layer');
    await expect(panel.getByRole('button', { name: /^Filter 0/ })).toBeVisible();
    await expectAccessible(page, 'filters');
    await panel.getByRole('radio', { name: 'Feature maps' }).check();
    await expect(panel.getByRole('img', { name: /^Channel 0/ })).toBeVisible();
    await expectAccessible(page, 'maps');
    await panel.getByRole('radio', { name: 'Filters as points' }).check();
    await expect(panel.locator('.plane')).toBeVisible();
    await panel.getByText('Filters by their sum of distances').click();
    await page.setViewportSize({ width: 360, height: 740 });
    await expectAccessible(page, 'points, on a phone');
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
  });
}
