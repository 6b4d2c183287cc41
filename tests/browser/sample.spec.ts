import { expect, test } from './page.js';

test('one click on the sample shows a finished result, offline and without a request', async ({ lopper, page, context }) => {
  await expect(page.getByText('Nothing leaves this machine.')).toBeVisible();
  await context.setOffline(true);
  await lopper.button('Try the sample').click();
  await expect(page.getByText('This is the finished sample.')).toBeVisible({ timeout: 280_000 });

  for (const title of ['Model', 'Groups', 'Cut', 'Data', 'Evaluate', 'Fine-tune', 'Proof', 'Download']) {
    await expect(lopper.step(title)).toBeVisible();
  }
  await expect(lopper.step('Proof')).toContainText('The cut model equals the masked original.');

  const shares = await page.locator('.result-top1').allTextContents();
  const [original, cut, tuned] = shares.map((share) => Number.parseFloat(share));
  expect(shares).toHaveLength(3);
  expect(original).toBeGreaterThan(80);
  expect(cut).toBeLessThan((original ?? 0) - 5);
  expect(tuned).toBeGreaterThan((cut ?? 100) + 5);

  for (const name of ['Accuracy', 'MACs', 'Parameters', 'File size', 'Time per image']) {
    await expect(lopper.card.getByText(name, { exact: true })).toBeVisible();
  }
  const model = await lopper.download(lopper.button(/^Download the model/));
  expect(model.name).toMatch(/-lopped\.onnx$/);
  const recipe = await lopper.download(lopper.button('Recipe'));
  expect(JSON.parse(recipe.bytes.toString())).toBeInstanceOf(Object);
  const report = await lopper.download(lopper.button('Report (JSON)'));
  expect(JSON.parse(report.bytes.toString())).toMatchObject({ exact: true });

  expect(lopper.requests).toEqual([]);
  expect(lopper.complaints).toEqual([]);
});
