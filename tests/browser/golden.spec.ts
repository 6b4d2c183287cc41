import { expect, test } from '@playwright/test';
import { golden, goldenIsThere, goldenLogits, images, outputs } from './golden.js';
import { runtimePage } from './runtime.js';

// A software adapter takes about a second an image.
test.setTimeout(900_000);
test.skip(!goldenIsThere, '../shared/golden is missing: nothing was checked against PyTorch in the browser');

const largest = (rows: number[][]): number => Math.max(...rows.flat().map(Math.abs));
const apart = (one: number[][], other: number[][]): number =>
  largest(one.map((row, at) => row.map((value, column) => value - (other[at]?.[column] ?? Number.NaN))));
const top = (row: number[]): number => row.indexOf(Math.max(...row));

for (const device of ['cpu', 'gpu'] as const) {
  test(`ResNet-20 gives PyTorch's outputs for 64 images on the ${device}`, async ({ context }) => {
    const pixels = images(golden('resnet20_batch64.npz'), 64);
    const seen = await outputs(await runtimePage(context), golden('resnet20_simplified.onnx'), pixels, device);
    expect(seen).toHaveLength(64);
    expect(apart(goldenLogits(), seen)).toBeLessThan(1e-4);
  });
}

test('CPU and GPU name the same class for 200 images', async ({ context }) => {
  const page = await runtimePage(context);
  const pixels = images(golden('sgd640.npz'), 200);
  const model = golden('resnet20_simplified.onnx');
  const [cpu, gpu] = [await outputs(page, model, pixels, 'cpu'), await outputs(page, model, pixels, 'gpu')];
  expect(cpu).toHaveLength(200);
  expect(gpu.map(top)).toEqual(cpu.map(top));
  expect(apart(cpu, gpu)).toBeLessThan(1e-4 * largest(cpu));
});
