import { colourZip, smallModel } from './files.js';
import { expect, test } from './page.js';

test('the graph is drawn, searched, and lights what belongs together', async ({ lopper, page }) => {
  await lopper.drop(smallModel());
  await page.getByText('See the graph').click();
  const panel = lopper.step('Groups');
  await expect(panel).toContainText(/\d+ nodes/);
  await page.getByRole('searchbox').fill('Conv');
  await panel.getByRole('button', { name: /^Conv/ }).first().click();
  const details = page.locator('.graph-details');
  await expect(details).toContainText('Conv');
  await expect(details.getByRole('button', { name: /makes/ })).toHaveAttribute('aria-pressed', 'true');
  // Something is on the canvas, and it moves by keyboard.
  const canvas = panel.locator('canvas');
  const picture = () => canvas.evaluate((element) => (element as HTMLCanvasElement).toDataURL());
  const before = await picture();
  expect(before.length).toBeGreaterThan(5000);
  await canvas.focus();
  await page.keyboard.press('ArrowDown');
  await expect.poll(picture).not.toBe(before);
  await lopper.button('Fill the window').click();
  await expect(page.locator('.graph-wide')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(page.locator('.graph-wide')).toHaveCount(0);
  expect(lopper.complaints).toEqual([]);
});

test('why two belong together, and what holds one', async ({ lopper, page }) => {
  await lopper.drop(smallModel());
  await page.getByText('Why do they belong together?').click();
  const answer = page.locator('.why-answer');
  await lopper.button('Show why').click();
  await expect(answer).toContainText(/share/);
  await page.getByLabel('This', { exact: true }).fill('logits');
  await page.getByLabel('and this (may be empty)').fill('');
  await lopper.button('Show why').click();
  await expect(answer).toContainText('it is an output of the model');
  await page.getByLabel('This', { exact: true }).fill('nobody');
  await lopper.button('Show why').click();
  await expect(answer.getByRole('alert')).toContainText('nobody');
});

test('the slider moves the line through the scores', async ({ lopper, page }) => {
  await lopper.drop(smallModel());
  await page.getByText('See the scores').click();
  const first = page.getByRole('img', { name: /channels go$/ }).first();
  await expect(first).toHaveAccessibleName(/: 8 of 16 channels go$/);
  await page.getByRole('slider').focus();
  for (let press = 0; press < 25; press += 1) await page.keyboard.press('ArrowLeft');
  await expect(first).toHaveAccessibleName(/: 4 of 16 channels go$/);
});

test('sensitivity is measured, and ratios are solved from it', async ({ lopper, page }) => {
  await lopper.drop(smallModel());
  await page.getByText('How much does each group bear?').click();
  await lopper.button('Measure').click();
  await expect(page.getByRole('img', { name: /one line a group/ })).toBeVisible();
  await page.getByRole('spinbutton', { name: /^MACs/ }).fill('70');
  await page.keyboard.press('Tab');
  await lopper.button(/^Set ratios that keep 70/).click();
  await expect(page.getByRole('status').filter({ hasText: 'The ratios are set' })).toBeVisible();
  await expect(page.getByRole('slider')).toHaveValue('0');
  await expect(page.locator('.group-count').last()).toHaveText(/\u2192/);
});

test('a sweep compares cuts, and a point of it becomes the result', async ({ lopper, page }) => {
  await lopper.drop(smallModel(), colourZip());
  await expect(lopper.step('Data')).toContainText('4 classes');
  await page.getByText('Try many cuts at once').click();
  await lopper.button('Try 9 cuts').click();
  const rows = lopper.step('Evaluate').locator('.table tbody tr');
  await expect(rows).toHaveCount(10, { timeout: 120_000 });
  await expect(page.getByRole('img', { name: 'Accuracy against cost' })).toBeVisible();
  await lopper.button('Take it: Geometric median, 30').click();
  await expect(page.getByRole('combobox', { name: 'Measure' })).toHaveValue('fpgm_l2');
  await expect(lopper.step('Proof')).toContainText('The cut model equals');
  await expect(page.getByRole('checkbox', { name: /^Re-fit layers/ })).toBeChecked();
  await expect(lopper.step('Fine-tune').locator('.table')).toContainText(/Re-fit layers.*%/);
  expect(lopper.requests).toEqual([]);
  expect(lopper.complaints).toEqual([]);
});

test('zeros are timed beside the original and the cut', async ({ lopper, page }) => {
  await lopper.drop(smallModel());
  await lopper.button(/^Cut 50/).click();
  await expect(lopper.step('Proof')).toContainText('The cut model equals');
  await page.getByText('Why not just set weights to zero?').click();
  await lopper.button(/^Time 50/).click();
  await expect(page.locator('.times li')).toHaveText([/^Original.*s$/, /are zero.*s$/, /^Cut.*s$/]);
});
