import { smallModel } from './files.js';
import { expect, test } from './page.js';
import { difference, runBoth, runtimePage } from './runtime.js';

// A machine without an adapter must fail here: a skipped test would hide that the GPU is never tried.
// A software adapter takes minutes for the engine's self-test alone.
test.setTimeout(900_000);

test('a software adapter is there, and "automatic" leaves it alone and says so', async ({ page, lopper }) => {
  expect(await page.evaluate(async () => (await navigator.gpu?.requestAdapter())?.info.architecture)).toBe('swiftshader');
  await expect(page.locator('.engine-line')).toContainText(/CPU/);
  await expect(page.locator('.engine-line')).toContainText(/software/i);
  expect(lopper.complaints).toEqual([]);
});

test('the GPU passes its check, and cuts and proves', async ({ page, lopper }) => {
  await page.getByLabel(/^Device/).click();
  await page.getByRole('radio', { name: /^GPU/ }).click();
  await expect(page.locator('.menu summary')).toHaveText('GPU', { timeout: 600_000 });
  await lopper.drop(smallModel());
  await lopper.button(/^Cut 50/).click();
  await expect(lopper.step('Proof')).toContainText('The cut model equals', { timeout: 120_000 });
  expect(lopper.complaints).toEqual([]);
});

test('the engine on the GPU gives the outputs of onnxruntime-web', async ({ context }) => {
  const both = await runBoth(await runtimePage(context), smallModel().bytes, [3, 3, 16, 16], 'gpu');
  expect(both.device).toBe('gpu');
  expect(both.runtime).toHaveLength(12);
  expect(difference(both)).toBeLessThan(1e-4);
});
