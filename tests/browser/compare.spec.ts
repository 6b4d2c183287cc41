import { expectAccessible } from './axe.js';
import { colourZip, smallModel } from './files.js';
import { expect, test } from './page.js';

const number = (words: string | null, pattern: RegExp): number => Number(pattern.exec(words ?? '')?.[1] ?? Number.NaN);

test('answers before and after, changed ones first, and a confusion matrix that adds up', async ({ lopper, page }) => {
  await lopper.drop(smallModel(), colourZip());
  await expect(lopper.step('Data')).toContainText('4 classes');
  await lopper.button(/^Cut 50/).click();
  await expect(lopper.step('Proof')).toContainText('The cut model equals');
  await page.getByText('See what changed on your images').click();
  await lopper.button('Compare the answers').click();
  const panel = page.locator('#panel-compare');
  const summary = panel.locator('.compare-summary');
  await expect(summary).toContainText(/images get/, { timeout: 60_000 });
  const words = await summary.textContent();
  const changed = number(words, /^(\d+) of/);
  const all = number(words, /of (\d+) images/);
  expect(all).toBe(48);

  // Every shown image has both answers in words, and those that differ come first.
  const answers = await panel.getByRole('listitem').allTextContents();
  const differs = answers.map((line) => {
    const [, before, after] = /: (\w+) .*, then (\w+) /.exec(line) ?? [];
    expect(before, line).toBeTruthy();
    return before !== after;
  });
  const first = Math.min(changed, differs.length);
  expect(differs).toEqual(differs.map((_, index) => index < first));

  // The matrices count every image once, and their difference is what the summary says.
  const cells = async (): Promise<number[][]> =>
    panel.locator('.heat-table tbody tr').evaluateAll((rows) =>
      rows.map((row) => [...row.querySelectorAll('td')].map((cell) => Number((cell.textContent ?? '').replace('\u2212', '-')))),
    );
  const difference = await cells();
  const counted: number[][][] = [];
  for (const name of ['Original', 'Now']) {
    await panel.getByRole('radio', { name }).check();
    counted.push(await cells());
  }
  const [before = [], after = []] = counted;
  const sum = (matrix: number[][]): number => matrix.flat().reduce((total, cell) => total + cell, 0);
  const right = (matrix: number[][]): number => matrix.reduce((total, row, at) => total + (row[at] ?? 0), 0);
  expect([sum(before), sum(after), sum(difference)]).toEqual([all, all, 0]);
  expect(difference).toEqual(after.map((row, r) => row.map((cell, c) => cell - (before[r]?.[c] ?? 0))));
  const [lost, won] = [number(words, /(\d+) were right/), number(words, /(\d+) were wrong and/)];
  expect(right(after) - right(before)).toBe(won - lost);

  // The accuracies are those of the evaluation.
  await lopper.button('Evaluate before and after').click();
  await expect(page.locator('.result-top1')).toHaveText([/\d\s%/, /\d\s%/]);
  const shares = (await page.locator('.result-top1').allTextContents()).map((share) => Number.parseFloat(share));
  expect(shares[0]).toBeCloseTo((right(before) / all) * 100, 0);
  expect(shares[1]).toBeCloseTo((right(after) / all) * 100, 0);
  expect(lopper.requests).toEqual([]);
  expect(lopper.complaints).toEqual([]);
});

test('the handle moves by keyboard and by pointer, and another cut asks again', async ({ lopper, page }) => {
  await lopper.drop(smallModel(), colourZip());
  await expect(lopper.step('Data')).toContainText('4 classes');
  await page.getByText('See what changed on your images').click();
  await expect(page.locator('#panel-compare')).toContainText('Make a cut and add images first.');
  await lopper.button(/^Cut 50/).click();
  await lopper.button('Compare the answers').click();
  const handle = page.getByRole('slider', { name: 'Handle between before and after' });
  await expect(handle).toHaveValue('50');
  const edge = (): Promise<string> => page.locator('.wipe-before').evaluate((side) => getComputedStyle(side).clipPath);
  const half = await edge();
  await handle.focus();
  await page.keyboard.press('End');
  await expect(handle).toHaveValue('100');
  expect(await edge()).not.toBe(half);
  const frame = await page.locator('.wipe-frame').boundingBox();
  await page.mouse.click((frame?.x ?? 0) + (frame?.width ?? 0) / 4, (frame?.y ?? 0) + 20);
  await expect(handle).toHaveValue('25');
  await expectAccessible(page, 'comparison');

  await page.getByRole('slider', { name: 'Channels to cut' }).focus();
  await page.keyboard.press('ArrowLeft');
  await expect(page.locator('#panel-compare')).toContainText('The settings have changed since.');
  await lopper.button(/^Cut 49/).click();
  await expect(lopper.button('Compare the answers')).toBeEnabled();
  await expect(handle).toHaveCount(0);
});
