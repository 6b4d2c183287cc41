import { writeFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { expectAccessible } from './axe.js';
import { colourZip, smallModel } from './files.js';
import { expect, test } from './page.js';

const HOSTILE = '<img src=x onerror=alert(1)>&"\'.onnx';

test('the report is one file that opens anywhere, with its pictures and without a script', async ({ lopper, page, context }, info) => {
  await lopper.drop({ ...smallModel(), name: HOSTILE }, colourZip());
  await expect(lopper.step('Data')).toContainText('4 classes');
  await lopper.button(/^Cut 50/).click();
  await expect(lopper.step('Proof')).toContainText('The cut model equals');
  await lopper.button('Evaluate before and after').click();
  await expect(page.locator('.result-top1')).toHaveText([/%/, /%/]);
  await page.getByRole('checkbox', { name: /^Re-fit layers/ }).check();
  await page.getByLabel('Epochs').fill('2');
  await lopper.button('Fine-tune').click();
  await expect(page.locator('.result-top1')).toHaveText([/%/, /%/, /%/]);

  const { name, bytes } = await lopper.download(lopper.button('Report to read'));
  expect(name).toMatch(/-lopped\.report\.html$/);
  expect(lopper.requests).toEqual([]);
  const path = info.outputPath('report.html');
  await writeFile(path, bytes);

  await context.setOffline(true);
  const report = await context.newPage();
  const asked: string[] = [];
  const complaints: string[] = [];
  report.on('request', (request) => asked.push(request.url()));
  report.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  report.on('dialog', (dialog) => complaints.push(dialog.message()));
  await report.goto(pathToFileURL(path).href);
  await expect(report.getByRole('heading', { level: 1 })).toContainText(HOSTILE);
  expect(await report.locator('script, img, link, iframe').count()).toBe(0);
  expect(asked).toHaveLength(1);

  // The numbers are those of the page.
  const shares = await page.locator('.result-top1').allTextContents();
  const tested = report.getByRole('table', { name: 'On the test images' });
  await expect(tested.locator('tbody td:nth-child(2)')).toHaveText(shares);
  await expect(report.getByRole('table', { name: /^Channels/ }).locator('tbody tr')).toHaveCount(2);
  await expect(report.getByRole('table', { name: /^Channels/ }).locator('tbody tr').first()).toContainText(/16\s*8/);
  await expect(report.getByRole('table', { name: /^Accuracy on the validation/ })).toContainText(/Re-fit layers\s*\d/);
  await expect(report.getByRole('img', { name: 'Training loss by step' })).toBeVisible();
  await expect(report.getByRole('img', { name: /: 8 of 16 channels go$/ })).toBeVisible();
  await expect(report.getByRole('img', { name: 'See the graph' })).toContainText('Conv');
  await expect(report.locator('main')).toContainText('The cut model equals the masked original.');
  await expect(report.locator('pre').first()).toContainText('lopper run');
  expect(JSON.parse((await report.locator('pre').last().textContent()) ?? '')).toMatchObject({ version: 1, cut: { criterion: 'l1' } });
  for (const colorScheme of ['light', 'dark'] as const) {
    await report.emulateMedia({ colorScheme });
    await expectAccessible(report, `report, ${colorScheme}`);
    await report.screenshot({ path: info.outputPath(`report-${colorScheme}.png`), fullPage: true });
  }
  expect(complaints).toEqual([]);

  await page.getByLabel('Language').selectOption({ label: '中文' });
  const chinese = await lopper.download(lopper.button(/可阅读的报告/));
  expect(chinese.bytes.toString()).toContain('<html lang="zh-CN">');
  expect(chinese.bytes.toString()).toContain('在测试图像上');
});
