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

  // The pointer finds a box or an arrow somewhere down the middle, and it says the same.
  const box = await canvas.boundingBox();
  const hover = page.locator('.graph-hover .channel-map');
  for (let down = 20; down < (box?.height ?? 0) && (await hover.count()) === 0; down += 12) {
    await page.mouse.move((box?.x ?? 0) + (box?.width ?? 0) / 2, (box?.y ?? 0) + down);
    await page.waitForTimeout(250);
  }
  await expect(hover).toContainText(/weight: \d+ of \d+ channels go/);

  // Widths on the arrows are part of the picture.
  const picture = () => canvas.evaluate((element) => (element as HTMLCanvasElement).toDataURL());
  const both = await picture();
  await panel.getByRole('radio', { name: 'None', exact: true }).check();
  await expect.poll(picture).not.toBe(both);
  expect(lopper.complaints).toEqual([]);
});
