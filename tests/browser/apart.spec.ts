/** Models whose tensors lie in a large file beside them: read piece by piece, never as a whole. */

import { open } from 'node:fs/promises';
import { block, node, port, randomNumbers, whole, words } from './files.js';
import { expect, test } from './page.js';
import { runtimePage } from './runtime.js';

interface Layer {
  name: string;
  rows: number;
  columns: number;
}

/** A perceptron whose weights lie one after the other in `weights.bin`. */
function perceptron(widths: number[]): { model: Buffer; layers: Layer[]; bytes: number } {
  const layers = widths.slice(1).map((columns, k) => ({ name: `w${k}`, rows: widths[k] ?? 1, columns }));
  const parts: Buffer[] = [];
  let [offset, last] = [0, 'input'];
  layers.forEach(({ name, rows, columns }, k) => {
    const end = k + 1 === layers.length;
    parts.push(node('MatMul', [last, name], end ? 'logits' : `a${k}`, []));
    if (!end) parts.push(node('Relu', [`a${k}`], `b${k}`, []));
    last = `b${k}`;
    const length = rows * columns * 4;
    const entry = (key: string, value: string): Buffer => block(13, Buffer.concat([words(1, key), words(2, value)]));
    const place = [entry('location', 'weights.bin'), entry('offset', `${offset}`), entry('length', `${length}`), whole(14, 1)];
    parts.push(block(5, Buffer.concat([whole(1, rows), whole(1, columns), whole(2, 1), words(8, name), ...place])));
    offset += length;
  });
  const ends = [port(11, 'input', ['N', widths[0] ?? 1]), port(12, 'logits', ['N', widths.at(-1) ?? 1])];
  const graph = Buffer.concat([...parts, words(2, 'perceptron'), ...ends]);
  const model = Buffer.concat([whole(1, 8), words(2, 'lopper browser tests'), block(7, graph), block(8, whole(2, 17))]);
  return { model, layers, bytes: offset };
}

test('a model with 75 MB beside it is opened, cut, proved and saved as two files that onnxruntime-web runs', async ({ lopper, page, context }, info) => {
  const { model, layers, bytes } = perceptron([2048, 4096, 2048, 1024, 10]);
  expect(bytes).toBeGreaterThan(64 << 20);
  const [first, second] = [info.outputPath('large.onnx'), info.outputPath('weights.bin')];
  const random = randomNumbers(3);
  const weights = await open(second, 'w');
  for (const { rows, columns } of layers) {
    const bound = Math.sqrt(6 / rows);
    await weights.write(Buffer.from(Float32Array.from({ length: rows * columns }, () => (random() * 2 - 1) * bound).buffer));
  }
  await weights.close();
  const file = await open(first, 'w');
  await file.write(model);
  await file.close();

  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.getByText('Choose an ONNX file').click()]);
  await chooser.setFiles([first, second]);
  await expect(lopper.step('Model')).toContainText('large.onnx');
  await lopper.button(/^Cut 50/).click();
  await expect(lopper.step('Proof')).toContainText('The cut model equals the masked original.');
  const saved: { name: string; path: string }[] = [];
  page.on('download', (download) => void download.path().then((path) => saved.push({ name: download.suggestedFilename(), path })));
  await lopper.button(/^Download the model/).click();
  await expect.poll(() => saved.map(({ name }) => name).sort()).toEqual(['large-lopped.onnx', 'large-lopped.onnx.data']);

  const other = await runtimePage(context);
  await other.evaluate(() => {
    document.body.innerHTML = '<input type="file" multiple>';
  });
  await other.locator('input').setInputFiles(saved.map(({ path }) => path));
  const names = saved.map(({ name }) => name);
  const answer = await other.evaluate(async (names) => {
    const files = [...(document.querySelector('input')?.files ?? [])];
    const bytes = async (name: string): Promise<Uint8Array> => new Uint8Array((await files[names.indexOf(name)]?.arrayBuffer()) ?? new ArrayBuffer(0));
    const load = (name: string): Promise<unknown> => import(new URL(name, location.href).href);
    const ort = (await load('./ort/ort.wasm.min.mjs')) as typeof import('onnxruntime-web');
    ort.env.wasm.numThreads = 1;
    const [model, data] = await Promise.all([bytes('large-lopped.onnx'), bytes('large-lopped.onnx.data')]);
    const session = await ort.InferenceSession.create(model.slice(), { externalData: [{ path: 'large-lopped.onnx.data', data }] });
    const input = Float32Array.from({ length: 2 * 2048 }, (_, i) => Math.sin(i * 12.9898));
    const { logits } = await session.run({ input: new ort.Tensor('float32', input, [2, 2048]) });
    const core = (await load('./pkg/lopper_web.js')) as typeof import('../../www/pkg/gpu/lopper_web.js');
    await core.default();
    const lopper = new core.Lopper(() => undefined, () => undefined, () => undefined);
    const part = (_: number, offset: number, length: number): Uint8Array => data.slice(offset, offset + length);
    const opened = lopper.open(model, 'cut.onnx', ['large-lopped.onnx.data'], Float64Array.of(data.length), part);
    const engine = [...(await lopper.run('original', input, '[2,2048]'))];
    return { opened, bytes: data.length, runtime: [...((logits?.data ?? []) as Float32Array)], engine };
  }, names);
    // The last weights are small enough to lie in the model itself.
  expect(answer.bytes).toBe(4 * (2048 * 2048 + 2048 * 1024 + 1024 * 512));
  const most = Math.max(...answer.runtime.map(Math.abs));
  expect(most).toBeGreaterThan(0);
  answer.runtime.forEach((value, k) => expect(Math.abs(value - (answer.engine[k] ?? Number.NaN))).toBeLessThan(1e-4 * most));
});

test('a model with 1.1 GB beside it takes 1.3 times its largest tensor and 200 MB at most', async ({ context }) => {
  const { model, layers, bytes } = perceptron([4096, ...Array.from({ length: 14 }, () => 4096), 16384, 32]);
  expect(bytes).toBeGreaterThan(1.1e9);
  const largest = Math.max(...layers.map(({ rows, columns }) => rows * columns * 4));
  const page = await runtimePage(context);
  const used = await page.evaluate(
    async ({ base64, bytes }) => {
      const load = (name: string): Promise<unknown> => import(new URL(name, location.href).href);
      const core = (await load('./pkg/lopper_web.js')) as typeof import('../../www/pkg/gpu/lopper_web.js');
      const wasm = await core.default();
      const lopper = new core.Lopper(() => undefined, () => undefined, () => undefined);
      const model = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      // Numbers that depend on where they lie, instead of a file of that length.
      const part = (_: number, offset: number, length: number): Uint8Array =>
        new Uint8Array(Float32Array.from({ length: length / 4 }, (_, i) => ((offset / 4 + i) % 1009) / 504.5 - 1).buffer);
      lopper.open(model, 'large.onnx', ['weights.bin'], Float64Array.of(bytes), part);
      await lopper.cut(JSON.stringify({ criterion: 'l1', scope: 'group', target: { ratio: 0.5 }, floor: null, multiple: null, locks: [], seed: 0 }));
      let written = 0;
      lopper.model('cut', 'cut.data', (_: string, piece: Uint8Array) => {
        written += piece.length;
      });
      return { memory: wasm.memory.buffer.byteLength, written };
    },
    { base64: model.toString('base64'), bytes },
  );
  console.log(`${(used.memory / 1e6).toFixed(0)} MB of wasm memory for ${(bytes / 1e6).toFixed(0)} MB of tensors, the largest of ${(largest / 1e6).toFixed(0)}`);
  expect(used.written).toBeGreaterThan(bytes / 5);
  expect(used.memory).toBeLessThan(1.3 * largest + 200e6);
});
