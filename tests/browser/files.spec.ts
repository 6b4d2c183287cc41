import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { colours, colourZip, smallModel, splitModel } from './files.js';
import { expect, test } from './page.js';
import { difference, runBoth, runtimePage } from './runtime.js';

test('a model and a zip of pictures go all the way, and onnxruntime-web runs the download', async ({ lopper, page, context }) => {
  await lopper.drop(smallModel(), colourZip());
  await expect(lopper.step('Model')).toContainText('input N\u2009\u00d7\u20093\u2009\u00d7\u200916\u2009\u00d7\u200916');
  await expect(lopper.step('Data')).toContainText('240 images, 4 classes');
  await expect(page.locator('.picture').first()).toBeVisible();

  await lopper.button('Evaluate the original').click();
  await expect(page.locator('.result-top1')).toHaveText([/\d\s%/]);
  await lopper.button(/^Cut 50/).click();
  await expect(lopper.step('Proof')).toContainText('The cut model equals the masked original.');
  await page.getByLabel('Epochs').fill('6');
  await lopper.button('Fine-tune').click();
  await expect(lopper.step('Fine-tune')).toContainText(/\d+ steps in/, { timeout: 200_000 });
  await expect(page.locator('.result-tuned .result-top1')).toHaveText(/\d\s%/);
  const tuned = Number.parseFloat((await page.locator('.result-tuned .result-top1').textContent()) ?? '');
  // Four colours, one in four by chance.
  expect(tuned).toBeGreaterThan(60);

  const { name, bytes } = await lopper.download(lopper.button(/^Download the model/));
  expect(name).toBe('small-lopped.onnx');
  expect(bytes.length).toBeLessThan(smallModel().bytes.length);
  expect(lopper.requests).toEqual([]);
  expect(lopper.complaints).toEqual([]);

  const both = await runBoth(await runtimePage(context), bytes, [5, 3, 16, 16], 'cpu');
  expect(both.runtime).toHaveLength(20);
  expect(difference(both)).toBeLessThan(1e-4);
});

test('the slider, the lock and the keyboard move the estimate', async ({ lopper, page }) => {
  await lopper.drop(smallModel());
  const estimate = page.locator('.estimate');
  const counts = page.locator('.group-count');
  await expect(counts).toHaveText(['16 \u2192 8', '24 \u2192 12']);

  const half = await estimate.textContent();
  await page.getByRole('slider').focus();
  for (let press = 0; press < 25; press += 1) await page.keyboard.press('ArrowLeft');
  await expect(counts).toHaveText(['16 \u2192 12', '24 \u2192 18']);
  await expect(estimate).not.toHaveText(half ?? '');

  await page.getByRole('button', { name: /^Keep .* whole$/ }).first().focus();
  await page.keyboard.press('Enter');
  await expect(counts).toHaveText(['16', '24 \u2192 18']);

  await page.getByRole('radio', { name: 'MACs' }).check();
  await lopper.button(/of the MACs$/).click();
  await expect(lopper.step('Proof')).toContainText('The cut model equals');
  await expect(counts.first()).toHaveText('16');
});

test('a model in two files is read from both, and says so when one is missing', async ({ lopper, page }) => {
  const [model, weights] = splitModel();
  await lopper.drop(model);
  await expect(page.getByRole('alert')).toContainText('small.weights');
  await lopper.drop(model, weights);
  await expect(lopper.step('Model')).toContainText('small.onnx');
  await lopper.button(/^Cut 50/).click();
  await expect(lopper.step('Proof')).toContainText('The cut model equals the masked original.');
  const { bytes } = await lopper.download(lopper.button(/^Download the model/));
  // One file comes out, whatever went in.
  await lopper.drop({ name: 'again.onnx', bytes });
  await expect(lopper.step('Model')).toContainText('again.onnx');
});

test('a folder with one folder a class is read as a zip is', async ({ lopper, page }, info) => {
  const folder = info.outputPath('colours');
  for (const { name, bytes } of colours(5)) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), bytes);
  }
  await lopper.drop(smallModel());
  await expect(lopper.step('Data')).toBeVisible();
  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), lopper.step('Data').getByText('Choose a folder').click()]);
  await chooser.setFiles(folder);
  await expect(lopper.step('Data')).toContainText('20 images, 4 classes');
});
