import { smallModel } from './files.js';
import { expect, test } from './page.js';

test('the graph says whose channels flow where, before and after, by pointer and by keyboard', async ({ lopper, page }) => {
  await lopper.drop(smallModel());
  await page.getByText('See the graph').click();
  const panel = lopper.step('Groups');
  await expect(panel).toContainText(/\d+ nodes/);
  const canvas = panel.locator('canvas');
  const details = page.locator('.graph-details');

  // From box to box by keyboard: the input, then the first convolution.
  await canvas.focus();
  await page.keyboard.press(']');
  await expect(details).toContainText('Input');
  await page.keyboard.press(']');
  await expect(details).toContainText('Conv_a');
  await expect(details.locator('.channel-map')).toContainText('first.weight: 8 of 16 channels go');
  await expect(details).toContainText(/16.*\u2192.*8/);
  await lopper.button('Next box').click();
  await expect(details).toContainText('Relu');
  await expect(details.locator('.channel-map')).toContainText('first.weight: 8 of 16 channels go');
  await canvas.focus();
  await page.keyboard.press('[');
  await expect(details).toContainText('Conv_a');

  // A box that was chosen by keyboard stands in the middle, where the pointer finds it, and it says the same.
  const box = await canvas.boundingBox();
  if (!box) throw new Error('the canvas has no place');
  const point = (part: number): Promise<void> => canvas.hover({ position: { x: box.width * part, y: box.height / 2 } });
  await point(1 / 2);
  const hover = page.locator('.graph-hover .channel-map');
  await expect(hover).toContainText('first.weight: 8 of 16 channels go');

  // Widths on the arrows are part of the picture.
  const picture = () => canvas.evaluate((element) => (element as HTMLCanvasElement).toDataURL());
  const both = await picture();
  await panel.getByRole('radio', { name: 'None', exact: true }).check();
  await expect.poll(picture).not.toBe(both);

  // Side by side: the same drawing twice, each in its half, and the pointer finds the box in both.
  await panel.getByRole('radio', { name: 'Side by side' }).check();
  await canvas.focus();
  await page.keyboard.press(']');
  await expect(details).toContainText('Relu');
  await page.keyboard.press('[');
  await expect(details).toContainText('Conv_a');
  for (const part of [1 / 4, 3 / 4]) {
    await canvas.hover({ position: { x: 2, y: 2 } });
    await expect(hover).toHaveCount(0);
    await point(part);
    await expect(hover).toContainText('first.weight: 8 of 16 channels go');
  }
  await canvas.screenshot({ path: test.info().outputPath('beside.png') });
  expect(lopper.complaints).toEqual([]);
});
