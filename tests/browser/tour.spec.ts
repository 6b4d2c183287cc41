import type { Page } from '@playwright/test';
import { smallModel } from './files.js';
import { type Lopper, expect, test } from './page.js';

/** What a person does in each chapter, in the words of its tasks. */
const DEEDS: readonly [title: string, deeds: readonly ((lopper: Lopper, page: Page) => Promise<unknown>)[]][] = [
  [
    'Magnitude',
    [
      (_, page) => page.getByRole('combobox', { name: 'Measure' }).selectOption('l1'),
      (_, page) => page.getByRole('main').getByText('See the scores').click(),
      async (_, page) => {
        await page.getByRole('slider').focus();
        for (let press = 0; press < 12; press += 1) await page.keyboard.press('ArrowRight');
      },
    ],
  ],
  [
    'Geometric median',
    [
      (_, page) => page.getByRole('combobox', { name: 'Measure' }).selectOption('fpgm_l2'),
      (_, page) => page.getByRole('main').getByRole('button', { name: /^Cut \d+/ }).click(),
      (_, page) => page.getByRole('main').getByRole('button', { name: 'Evaluate before and after' }).click(),
    ],
  ],
  [
    'Batch-norm scale and gates',
    [
      (_, page) => page.getByRole('combobox', { name: 'Measure' }).selectOption('bn_scale'),
      (_, page) => page.getByRole('radio', { name: 'In the whole network' }).check(),
      (_, page) => page.getByRole('combobox', { name: 'Measure' }).selectOption('gate_taylor_sq'),
    ],
  ],
  [
    'What belongs together',
    [
      (_, page) => page.getByRole('main').getByText('See the graph').click(),
      async (lopper, page) => {
        await page.getByRole('searchbox').fill('stage2/conv2');
        await lopper.step('Groups').getByRole('button', { name: /^Conv/ }).first().click();
      },
      async (_, page) => {
        await page.getByRole('main').getByText('Why do they belong together?').click();
        await page.getByRole('main').getByRole('button', { name: 'Show why' }).click();
      },
    ],
  ],
  [
    'Masks against cuts',
    [
      (_, page) => page.getByRole('main').getByRole('button', { name: /^Cut \d+/ }).click(),
      (_, page) => page.getByRole('main').getByText('Why not just set weights to zero?').click(),
      (_, page) => page.getByRole('main').getByRole('button', { name: /^Time 50/ }).click(),
    ],
  ],
  [
    'Recovery',
    [
      (_, page) => page.getByRole('checkbox', { name: /^Re-fit layers/ }).check(),
      (_, page) => page.getByRole('main').getByRole('button', { name: 'Fine-tune' }).click(),
      async () => undefined,
    ],
  ],
];

test('the tour leads through six chapters, and knows what was tried', async ({ lopper, page }, info) => {
  await lopper.button('Take the tour').click();
  const tour = page.getByRole('region', { name: /^Chapter/ });
  await expect(tour).toBeVisible();
  for (const [number, [title, deeds]] of DEEDS.entries()) {
    const heading = tour.getByRole('heading', { name: `Chapter ${number + 1} of 6 ${title}` });
    await expect(heading).toBeFocused();
    await expect(tour).toContainText(/From: .*\d{4}/);
    const tasks = tour.locator('.tour-tasks li');
    for (const [task, deed] of deeds.entries()) {
      const item = tasks.nth(task);
      // Each control is shown by its button: in sight, marked, and with the keyboard, where there is something to press.
      await item.getByRole('button', { name: /^Show me/ }).press('Enter');
      // What runs may end meanwhile, and the task with it.
      await expect(async () => {
        if ((await item.getAttribute('class')) === 'is-next') await expect(page.locator('[data-tour-here]')).toBeInViewport({ timeout: 1_000 });
      }).toPass({ timeout: 60_000 });
      await deed(lopper, page);
      await expect(item, `${title}, task ${task + 1}`).toHaveClass('is-done', { timeout: 120_000 });
    }
    await expect(tour.getByRole('status')).toContainText(number < 5 ? 'Done.' : 'That was the tour.');
    await page.screenshot({ path: info.outputPath(`chapter-${number + 1}.png`) });
    if (number < 5) await tour.getByRole('button', { name: 'Next' }).click();
  }
  expect(lopper.requests).toEqual([]);
  expect(lopper.complaints).toEqual([]);

  // Escape leaves; the header leads back, to where it was; all can begin anew.
  await page.keyboard.press('Escape');
  await expect(tour).toHaveCount(0);
  await expect(lopper.button('Take the tour')).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(tour.getByRole('heading', { name: /Recovery/ })).toBeVisible();
  await tour.getByRole('button', { name: 'Start over' }).click();
  await expect(tour.getByRole('heading', { name: /Magnitude/ })).toBeVisible();
  await expect(tour.locator('.tour-tasks li').nth(2)).not.toHaveClass('is-done');
});

test('progress stays over a reload, and a model of one\u2019s own is not closed without a word', async ({ lopper, page }) => {
  await lopper.button('Take the tour').click();
  await page.getByRole('main').getByText('See the scores').click();
  await expect(page.locator('.tour-tasks .is-done')).toHaveCount(2);
  await page.reload();
  await lopper.ready();
  await lopper.drop(smallModel());
  await expect(lopper.step('Model')).toContainText('small.onnx');
  await lopper.button('Take the tour').click();
  await expect(page.locator('.tour')).toContainText('closes the model that is open now');
  await expect(lopper.step('Model')).toContainText('small.onnx');
  await lopper.button('Open the sample').click();
  await expect(lopper.step('Model')).not.toContainText('small.onnx');
  await expect(page.locator('.tour-tasks .is-done')).toHaveCount(2);
});
