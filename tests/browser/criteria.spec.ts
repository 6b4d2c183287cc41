import { expectAccessible } from './axe.js';
import { colourZip, smallModel } from './files.js';
import { expect, test } from './page.js';

test('measures are compared by the order of filters, over all layers and in each', async ({ lopper, page }) => {
  await lopper.drop(smallModel());
  await page.getByText('Do the measures agree?').click();
  const panel = page.locator('#panel-agreement');
  await lopper.button('Compare 8 measures').click();
  const rows = panel.locator('.heat-table').first().locator('tbody tr');
  await expect(rows).toHaveCount(8);
  const matrix = await rows.evaluateAll((all) =>
    all.map((row) => [...row.querySelectorAll('td')].map((cell) => Number((cell.textContent ?? '').replace('\u2212', '-')))),
  );
  const names = await rows.locator('th').allTextContents();
  const at = (name: string): number => names.findIndex((one) => one === name);
  const [l1, l2, random] = [at('L1 norm'), at('L2 norm'), at('Random')];
  for (const [index, row] of matrix.entries()) {
    // No batch normalisation is here, so that measure has no scores at all, not even beside itself.
    if (Number.isNaN(row[index])) continue;
    expect(row[index]).toBe(1);
    row.forEach((cell, column) => expect(cell).toEqual(matrix[column]?.[index]));
  }
  expect(matrix[l1]?.[l2]).toBeGreaterThan(0.8);
  expect(Math.abs(matrix[l1]?.[random] ?? 1)).toBeLessThan(0.7);
  await expect(panel).toContainText('No scores anywhere:');
  const layers = panel.locator('.heat-table').nth(1).locator('tbody tr');
  await expect(layers).toHaveCount(3);
  await expect(layers.first()).toContainText('first.weight');
  await panel.getByLabel('Where').selectOption('second.weight');
  await expect(panel.locator('caption').first()).toContainText('second.weight');
  // Other images, other scores: what is shown does not outlive them.
  await lopper.drop(colourZip());
  await expect(lopper.step('Data')).toContainText('4 classes');
  await expect(panel.locator('.heat-table')).toHaveCount(0);
  await panel.getByText('Share of zeros').click();
  await lopper.button('Compare 9 measures').click();
  await expect(rows).toHaveCount(9, { timeout: 60_000 });
  expect(lopper.requests).toEqual([]);
  expect(lopper.complaints).toEqual([]);
});

test('what each way of comparing would cut, for the same target', async ({ lopper, page }) => {
  await lopper.drop(smallModel());
  await page.getByText('What would each way of comparing cut?').click();
  const panel = page.locator('#panel-scopes');
  const bars = panel.getByRole('img', { name: /channels go$/ });
  await expect(bars).toHaveCount(6);
  const labels = await bars.evaluateAll((all) => all.map((one) => one.getAttribute('aria-label') ?? ''));
  expect(labels[0]).toBe('Each group: 8 of 16 channels go');
  expect(labels[3]).toBe('Each group: 12 of 24 channels go');
  // All together lose as many channels.
  const gone = (from: string): number =>
    labels.filter((label) => label.startsWith(from)).reduce((sum, label) => sum + Number(/: (\d+) of/.exec(label)?.[1]), 0);
  expect(gone('Whole network')).toBe(20);
  await expect(panel.locator('.table tbody tr')).toHaveCount(2);
  await page.getByRole('slider', { name: 'Channels to cut' }).focus();
  for (let press = 0; press < 25; press += 1) await page.keyboard.press('ArrowLeft');
  await expect(bars.first()).toHaveAccessibleName('Each group: 4 of 16 channels go');
});

test('times of layers stand beside the sweep', async ({ lopper, page }) => {
  await lopper.drop(smallModel());
  await page.getByText('Where does the time go?').click();
  const panel = page.locator('#panel-latency');
  await panel.getByRole('button', { name: 'Time the layers' }).click();
  const rows = panel.locator('tbody tr');
  await expect(rows).toHaveCount(4, { timeout: 60_000 });
  await expect(rows.first()).toContainText(/Conv_a.*s/);
  await expect(rows.last()).toContainText('everything else');
  const shares = await rows.evaluateAll((all) => all.map((row) => Number.parseFloat(row.querySelectorAll('td')[1]?.textContent ?? '')));
  expect(shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(100, 0);
  await expect(panel.getByRole('img', { name: /^Conv_c: from/ })).toBeVisible();
});

for (const scheme of ['light', 'dark'] as const) {
  test(`axe finds nothing among the measures, ${scheme}, also on a phone`, async ({ lopper, page }) => {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
    await lopper.drop(smallModel());
    await page.getByText('Do the measures agree?').click();
    await lopper.button('Compare 8 measures').click();
    await expect(page.locator('.heat-table')).toHaveCount(2);
    await page.getByText('What would each way of comparing cut?').click();
    await expect(page.locator('.scope-bar').first()).toBeVisible();
    await expectAccessible(page, 'measures');
    await page.setViewportSize({ width: 360, height: 740 });
    await expectAccessible(page, 'measures, on a phone');
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
  });
}
