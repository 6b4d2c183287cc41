import { colourZip, smallModel } from './files.js';
import { expect, test } from './page.js';

const LETTERS = /[A-Za-z]{3,}/g;
/** Names that Chinese texts keep: formats, firms, people, what files call things. */
const NAMES =
  /^(Lopper|English|ONNX|CPU|GPU|WebGPU|MACs|Opset|zip|npz|JPEG|PNG|ImageNet|CIFAR|NEON|AVX2?|int8|AGP|LAMP|lopper|layer1|Conv|ReLU|Taylor|Gate|Decorator|fpgm|Tab|pts)$/i;

test('the page changes its language without a reload or a request, and remembers it', async ({ lopper, page }) => {
  await lopper.drop(smallModel(), colourZip());
  await expect(lopper.step('Data')).toContainText('240 images, 4 classes');
  await page.getByLabel('Language').selectOption({ label: '中文' });
  await expect(page.locator('html')).toHaveAttribute('lang', 'zh-CN');
  await expect(page).toHaveTitle(/更小/);
  await expect(lopper.step('数据')).toContainText('240 幅图像，4 个类别');
  await lopper.button(/^剪去 50/).click();
  await expect(lopper.step('验证')).toContainText('剪后的模型与掩码后的原模型相等');
  expect(lopper.requests).toEqual([]);

  await page.reload();
  await expect(page.getByRole('button', { name: '试试示例' })).toBeVisible();
  // Nothing but names is left in English; what the engine says of the device stays as it is.
  const words = await page.locator('main').evaluate((main) => {
    const copy = main.cloneNode(true) as HTMLElement;
    copy.querySelector('.engine-line')?.remove();
    return copy.textContent ?? '';
  });
  expect((words.match(LETTERS) ?? []).filter((word) => !NAMES.test(word))).toEqual([]);
  await page.getByLabel('语言').selectOption({ label: 'English' });
  await expect(page.getByRole('button', { name: 'Try the sample' })).toBeVisible();
  await expect(page.locator('html')).toHaveAttribute('lang', 'en');
  expect(lopper.complaints).toEqual([]);
});

test.describe('a Chinese browser', () => {
  test.use({ locale: 'zh-CN' });

  test('is answered in Chinese from the first paint', async ({ page }) => {
    await page.goto('./');
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('让训练好的网络更小。');
  });
});
