import { translator } from '../../www/src/strings/patterns.js';
import { errors } from '../../www/src/strings/zh/errors.js';
import { parts } from '../../www/src/strings/zh/parts.js';
import { reasons } from '../../www/src/strings/zh/reasons.js';
import { running } from '../../www/src/strings/zh/running.js';
import { colourZip, smallModel } from './files.js';
import { expect, test } from './page.js';
import { sentences } from './sentences.js';

const LETTERS = /[A-Za-z]{3,}/g;
/** Names that Chinese texts keep: formats, firms, people, what files call things. */
const NAMES =
  /^(Lopper|English|ONNX|CPU|GPU|WebGPU|MACs|Opset|zip|npz|JPEG|PNG|ImageNet|CIFAR|NEON|AVX2?|int8|AGP|LAMP|lopper|layer1|Conv|ReLU|Taylor|Gate|Decorator|fpgm|Tab|pts)$/i;

const english = (words: string): string[] => (words.match(LETTERS) ?? []).filter((word) => !NAMES.test(word));

const tables = [parts, errors, reasons, running];
const chinese = translator(tables, '：');

test('every sentence of the Rust sources has a Chinese form, and no other has', () => {
  const all = sentences('.');
  expect(all.length).toBeGreaterThan(800);
  const known = new Set(tables.flatMap((table) => Object.keys(table)));
  const missing = all.filter(({ text }) => !known.has(text)).map(({ at, text }) => `${at} needs a line in www/src/strings/zh: '${text}'`);
  expect(missing).toEqual([]);
  const written = new Set(all.map(({ text }) => text));
  expect([errors, reasons, running].flatMap((table) => Object.keys(table)).filter((key) => !written.has(key))).toEqual([]);
});

test('a Chinese form has the holes of its sentence', () => {
  for (const [sentence, said] of tables.flatMap((table) => Object.entries(table))) {
    const count = sentence.split('{}').length - 1;
    const numbered = [...said.matchAll(/\{(\d)\}/g)].map(([, number]) => Number(number));
    const all = Array.from({ length: count }, (_, index) => index + 1);
    if (numbered.length > 0) expect([...new Set(numbered)].sort(), sentence).toEqual(all);
    else expect(said.split('{}').length - 1, sentence).toBe(count);
    // Whatever the holes hold, nothing of the sentence itself is lost.
    const filled = sentence.split('{}').reduce((whole, piece, index) => `${whole}<${index}>${piece}`);
    for (const index of all) expect(chinese(filled), sentence).toContain(`<${index}>`);
    expect(chinese(filled), sentence).toMatch(/[\u4e00-\u9fff]/);
  }
});

test('sentences within sentences are said in Chinese, and unknown ones as they are', () => {
  for (const [sentence, said] of [
    ['node "/fc/Gemm" (Gemm): input 2 is missing', '节点 "/fc/Gemm"（Gemm）：缺少输入 2'],
    ['it meets axis 1 of "a: b", which cannot be cut there', '它与 "a: b" 的轴 1 相遇，那里不能剪'],
    [
      'the loss stopped being a number at step 12: use a lower learning rate; the last good model, that of epoch 3, is kept',
      '损失在第 12 步变为非数。请降低学习率；已保留最后的可用模型，即第 3 轮的模型',
    ],
    ['no GPU: the browser gives no WebGPU adapter', '没有 GPU：浏览器没有提供 WebGPU 适配器'],
    ['images: the shape is [0, 3]: there are no images in it', '图像：形状为 [0, 3]：其中没有图像'],
    ['a sentence that nobody has written', 'a sentence that nobody has written'],
    [`${'a: '.repeat(300)}?`, `${'a: '.repeat(300)}?`],
  ] as const) {
    expect(chinese(sentence)).toBe(said);
  }
});

test('what the engine says is shown in Chinese: reasons, remedies and errors', async ({ lopper, page }) => {
  await page.getByLabel('Language').selectOption({ label: '中文' });
  await lopper.drop(smallModel());
  await page.getByText(/个轴保持完整/).click();
  const reasons = page.locator('.reasons .told-line');
  await expect(reasons.filter({ hasText: '它是模型的输出。' })).not.toHaveCount(0);
  await expect(reasons.filter({ hasText: '无需处理：模型的输出形状不变；请剪它之前的层。' })).not.toHaveCount(0);
  // Names of values are quoted, and operators keep theirs.
  const rest = (await reasons.allTextContents()).map((reason) => reason.replace(/"[^"]*"/g, '').replace(/softmax|reshape|Relu|Gelu|Tanh/g, ''));
  expect(rest.flatMap(english)).toEqual([]);
  const { name, bytes } = smallModel();
  await lopper.drop({ name, bytes: bytes.subarray(0, 700) });
  const alert = page.getByRole('alert').locator('.told-line').first();
  await expect(alert).toContainText(/[\u4e00-\u9fff]{4}.*。$/);
  expect(english((await alert.textContent()) ?? '')).toEqual([]);
  await page.getByLabel('语言').selectOption({ label: 'English' });
  await expect(alert).toContainText(/^The [^\u4e00-\u9fff]*\.$/);
});

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
  // Nothing but names is left in English, and of the device its own name.
  await expect(page.locator('.engine-line')).toContainText(/CPU \(.*[\u4e00-\u9fff]{4}/);
  const words = await page.locator('main').evaluate((main) => {
    const copy = main.cloneNode(true) as HTMLElement;
    copy.querySelector('.engine-line')?.remove();
    return copy.textContent ?? '';
  });
  expect(english(words)).toEqual([]);
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
