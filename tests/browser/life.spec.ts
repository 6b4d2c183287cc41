import { colourZip, smallModel } from './files.js';
import { expect, test } from './page.js';

test('a file cut short is refused with a sentence and a code, and the page goes on', async ({ lopper, page }) => {
  const { name, bytes } = smallModel();
  await lopper.drop({ name, bytes: bytes.subarray(0, 700) });
  const alert = page.getByRole('alert');
  await expect(alert).toContainText(/\w+ \w+ \w+.*\./);
  await expect(alert.locator('code')).not.toBeEmpty();
  await lopper.drop({ name: 'notes.txt', bytes: Buffer.from('hello') });
  await expect(alert.last()).toContainText('notes.txt is neither an ONNX model');
  await lopper.drop(smallModel());
  await expect(lopper.step('Model')).toContainText('small.onnx');
});

test('a zip that is none is refused with a sentence', async ({ lopper, page }) => {
  await lopper.drop(smallModel());
  await expect(lopper.step('Model')).toBeVisible();
  await lopper.drop({ name: 'broken.zip', bytes: Buffer.from('PK but no zip') });
  await expect(page.getByRole('alert')).toContainText(/\w+ \w+ \w+.*\./);
  await expect(lopper.step('Data')).not.toContainText('broken.zip');
});

test('fine-tuning pauses, goes on and stops within a second', async ({ lopper, page }) => {
  await lopper.drop(smallModel(), colourZip());
  await expect(lopper.step('Data')).toContainText('240 images, 4 classes');
  await lopper.button(/^Cut 50/).click();
  await expect(lopper.step('Proof')).toContainText('The cut model equals');
  await page.getByLabel('Epochs').fill('900');
  await lopper.button('Fine-tune').click();

  const tune = lopper.step('Fine-tune');
  const step = tune.locator('.meter', { hasText: 'Step' }).locator('dd');
  await expect(step).toBeVisible();
  await lopper.button('Pause').click();
  await page.waitForTimeout(1000);
  const paused = await step.textContent();
  await page.waitForTimeout(1500);
  expect(await step.textContent()).toBe(paused);
  await lopper.button('Continue').click();
  await expect(step).not.toHaveText(paused ?? '');

  const asked = Date.now();
  await tune.getByRole('button', { name: 'Stop' }).click();
  await expect(tune).toContainText('Stopped early.');
  expect(Date.now() - asked).toBeLessThan(1000);
});

test('a killed worker comes back with the model, the images, the cut and the checkpoint', async ({ lopper, page }) => {
  await lopper.drop(smallModel(), colourZip());
  await expect(lopper.step('Data')).toContainText('4 classes');
  await lopper.button(/^Cut 50/).click();
  await expect(lopper.step('Proof')).toContainText('The cut model equals');
  await page.getByLabel('Epochs').fill('900');
  await lopper.button('Fine-tune').click();
  await expect(lopper.step('Fine-tune').locator('.meter', { hasText: 'Epoch' }).locator('dd')).toHaveText(/^([3-9]|\d\d) /);

  await lopper.killWorker();
  const message = page.getByRole('status').filter({ hasText: 'The engine stopped' });
  await expect(message).toContainText('model');
  await expect(message).toContainText('cut');
  await expect(message).toContainText('checkpoint');
  // The new engine really holds them: it evaluates the cut model, writes it, and goes on from the checkpoint.
  await lopper.button('Evaluate before and after').click();
  await expect(page.locator('.result-top1').nth(1)).toHaveText(/\d\s%/);
  const model = await lopper.download(lopper.button(/^Download the model/));
  expect(model.bytes.length).toBeGreaterThan(1000);
  await page.getByLabel('Epochs').fill('3');
  await lopper.button('Go on from the last checkpoint').click();
  await expect(lopper.step('Fine-tune')).toContainText(/\d+ steps in/);
});

test('an engine that breaks in the middle of its work is noticed too', async ({ lopper, page }) => {
  await lopper.drop(smallModel());
  await expect(lopper.step('Model')).toBeVisible();
  await page.workers()[0]?.evaluate(() => {
    setTimeout(() => {
      throw new WebAssembly.RuntimeError('unreachable');
    });
  });
  await expect(page.getByRole('status').filter({ hasText: 'unreachable' })).toContainText('Your model is back.');
});
