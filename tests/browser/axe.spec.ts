import { expectAccessible } from './axe.js';
import { colourZip, smallModel } from './files.js';
import { expect, test } from './page.js';

for (const scheme of ['light', 'dark'] as const) {
  test(`axe finds nothing in any state, ${scheme}`, async ({ lopper, page }) => {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
    await expectAccessible(page, 'landing');
    await page.getByLabel(/^Device/).click();
    await expectAccessible(page, 'device menu');
    await page.keyboard.press('Escape');

    await lopper.drop({ name: 'notes.txt', bytes: Buffer.from('hello') });
    await expectAccessible(page, 'message');
    await lopper.drop(smallModel(), colourZip());
    await expect(lopper.step('Data')).toContainText('4 classes');
    for (const panel of await page.locator('details.more > summary').all()) await panel.click();
    await expect(page.locator('.histogram').first()).toBeVisible();
    await expectAccessible(page, 'model and images, everything folded out');

    await page.getByRole('radio', { name: 'Time', exact: true }).check();
    await page.getByRole('combobox', { name: 'Measure' }).selectOption({ label: 'A mixture' });
    await expectAccessible(page, 'mixture, time without a table');
    await page.getByRole('combobox', { name: 'Measure' }).selectOption({ label: 'L1 norm' });
    await page.getByRole('radio', { name: 'Channels' }).check();

    await lopper.button(/^Cut 50/).click();
    await expect(lopper.step('Proof')).toContainText('The cut model equals');
    await lopper.button('Evaluate before and after').click();
    await expect(page.locator('.result-top1')).toHaveText([/\d\s%/, /\d\s%/]);
    await lopper.button('Copy command line').click();
    await page.getByRole('checkbox', { name: /^Re-fit layers/ }).check();
    await page.getByLabel('Epochs').fill('2');
    await lopper.button('Fine-tune').click();
    await expect(lopper.step('Fine-tune')).toContainText(/\d+ steps in/);
    await expectAccessible(page, 'finished');

    await page.setViewportSize({ width: 360, height: 740 });
    await expectAccessible(page, 'finished, on a phone');
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
    expect(lopper.complaints).toEqual([]);
  });
}
