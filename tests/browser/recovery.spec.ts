import type { Page } from '@playwright/test';
import { colourZip, colours, smallModel, zip } from './files.js';
import { Lopper, expect, test } from './page.js';

/** How many points the curve of the kept run has; 0 where nothing is kept. */
const keptPoints = (page: Page): Promise<number> =>
  page.evaluate(async () => {
    try {
      const runs = await (await navigator.storage.getDirectory()).getDirectoryHandle('runs');
      for await (const id of runs.keys()) {
        const run = await runs.getDirectoryHandle(id);
        const note = await (await run.getFileHandle('note.json')).getFile();
        return (JSON.parse(await note.text()) as { points: unknown[] }).points.length;
      }
    } catch {
      // Nothing was kept yet.
    }
    return 0;
  });

/** Ends the tab as a crash would, and opens another one. */
async function afterACrash(lopper: Lopper): Promise<Lopper> {
  const context = lopper.page.context();
  await lopper.page.close({ runBeforeUnload: false });
  const next = new Lopper(await context.newPage());
  await next.open();
  return next;
}

/** Opens the sample and stops its own course, if that is not over already. */
async function openSample(lopper: Lopper): Promise<void> {
  await lopper.button('Try the sample').click();
  await expect(lopper.step('Data')).toContainText('10 classes');
  const stop = lopper.page.locator('.banner').getByRole('button', { name: 'Stop' });
  await stop.click({ timeout: 5_000 }).catch(() => undefined);
  await expect(stop).toHaveCount(0);
}

async function tickTock({ page, button, step }: { page: Page; button: Lopper['button']; step: Lopper['step'] }): Promise<void> {
  await page.getByRole('radio', { name: 'Prune and train together' }).check();
  const tune = step('Fine-tune');
  await expect(tune).toContainText('You et al., Gate Decorator, NeurIPS 2019');
  await page.getByLabel('Epochs before the cut').fill('0.4');
  await page.getByLabel('Epochs after the cut').fill('2');
  await page.getByLabel('Batch', { exact: true }).fill('32');
  await button('Prune and train').click();
}

async function accuracy(lopper: Lopper): Promise<number> {
  await expect(lopper.step('Fine-tune')).toContainText(/\d+ steps in/, { timeout: 240_000 });
  // The sample's own course may have measured the original before it was stopped; then the button says so.
  await lopper.step('Evaluate').getByRole('button', { name: /^Evaluate/ }).click();
  const last = lopper.page.locator('.result-top1').last();
  await expect(lopper.page.locator('.result-top1')).toHaveCount(3);
  await expect(last).toHaveText(/\d/);
  return Number.parseFloat((await last.textContent()) ?? '');
}

const hands = (lopper: Lopper) => ({ page: lopper.page, button: lopper.button.bind(lopper), step: lopper.step.bind(lopper) });

test('tick-tock whose tab was killed in the middle ends where it would have', async ({ lopper }) => {
  test.setTimeout(900_000);
  await openSample(lopper);
  await tickTock(hands(lopper));
  await expect(lopper.page).toHaveTitle(/%.* of t(o|i)ck \d+ . Lopper/);
  const whole = await accuracy(lopper);
  await expect(lopper.step('Fine-tune').getByRole('table')).toContainText('Tock 1');
  await expect(lopper.step('Proof')).toContainText('The cut model equals');

  const second = await afterACrash(lopper);
  await expect(second.page.getByRole('region', { name: 'Continue where you left' })).toContainText('finished training');
  await second.button('Forget it').click();
  await openSample(second);
  await tickTock(hands(second));
  await expect.poll(() => keptPoints(second.page), { timeout: 120_000 }).toBeGreaterThan(8);

  const third = await afterACrash(second);
  const offer = third.page.getByRole('region', { name: 'Continue where you left' });
  await expect(offer).toContainText('sample.onnx');
  await third.button('Continue').click();
  const broken = await accuracy(third);
  expect(Math.abs(broken - whole)).toBeLessThanOrEqual(0.5);
  const model = await third.download(third.button(/^Download the model/));
  expect(model.bytes.length).toBeGreaterThan(1000);
});

test('images without labels repair and teach a cut model, too', async ({ lopper, page }) => {
  const flat = colours(20).map(({ name, bytes }) => ({ name: name.replace('/', '-'), bytes }));
  await lopper.drop(smallModel(), { name: 'flat.zip', bytes: zip(flat) });
  await expect(lopper.step('Data')).toContainText('80 images');
  await expect(lopper.step('Data')).toContainText('These images have no labels');
  await lopper.button(/^Cut 50/).click();
  await expect(lopper.step('Proof')).toContainText('The cut model equals');
  const tune = lopper.step('Fine-tune');
  await expect(tune).toContainText('learns to answer as the uncut one does');
  await expect(tune.getByRole('radio', { name: 'Labels only' })).toHaveCount(0);
  await page.getByLabel('Re-fit layers').check();
  await page.getByLabel('Epochs').fill('2');
  await lopper.button('Fine-tune').click();
  await expect(tune).toContainText(/\d+ steps in/, { timeout: 200_000 });
  await expect(tune.getByRole('table')).toContainText('not measured');
  await expect(lopper.button(/^Download the model/)).toBeEnabled();
  expect(lopper.complaints).toEqual([]);
});

test('a fine-tune goes on in another tab once its images are there again', async ({ lopper, page }) => {
  await lopper.drop(smallModel(), colourZip());
  await expect(lopper.step('Data')).toContainText('4 classes');
  await lopper.button(/^Cut 50/).click();
  await expect(lopper.step('Proof')).toContainText('The cut model equals');
  await page.getByLabel('Epochs').fill('900');
  await lopper.button('Fine-tune').click();
  await expect.poll(() => keptPoints(page), { timeout: 60_000 }).toBeGreaterThan(0);
  const stepped = async (of: Lopper): Promise<number> => {
    const step = of.step('Fine-tune').locator('.meter', { hasText: 'Step' }).locator('dd');
    return Number(((await step.textContent()) ?? '').split('/')[0]?.replace(/\D/g, ''));
  };
  await expect.poll(() => stepped(lopper)).toBeGreaterThan(50);

  const next = await afterACrash(lopper);
  const offer = next.page.getByRole('region', { name: 'Continue where you left' });
  await expect(offer).toContainText('small.onnx');
  await expect(offer).toContainText(colourZip().name);
  await next.button('Continue').click();
  await expect(next.step('Model')).toContainText('small.onnx');
  await next.drop(colourZip());
  const tune = next.step('Fine-tune');
  await expect(tune.locator('.meter', { hasText: 'Step' })).toBeVisible();
  expect(await stepped(next)).toBeGreaterThan(1);
  await expect(next.page).toHaveTitle(/\d.%.*Lopper/);
  await tune.getByRole('button', { name: 'Stop' }).click();
  await expect(tune).toContainText('Stopped early.');
  // A run that was stopped, not killed, goes on as well.
  await next.button('Go on from the last checkpoint').click();
  await expect(tune.locator('.meter', { hasText: 'Step' })).toBeVisible();
});
