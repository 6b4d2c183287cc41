import { smallModel } from './files.js';
import { expect, test } from './page.js';

test('without an adapter the page says so and works on the CPU', async ({ lopper, page }) => {
  expect(await page.evaluate(async () => (await navigator.gpu?.requestAdapter()) ?? null)).toBeNull();
  await expect(page.locator('.engine-line')).toContainText(/CPU/);
  await expect(page.locator('.engine-line')).toContainText(/adapter/i);

  await page.getByLabel(/^Device/).click();
  await page.getByRole('radio', { name: /^GPU/ }).click();
  await expect(page.getByRole('alert')).toContainText(/adapter/i);

  await lopper.drop(smallModel());
  await lopper.button(/^Cut 50/).click();
  await expect(lopper.step('Proof')).toContainText('The cut model equals');
});
