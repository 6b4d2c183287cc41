/** The page and the command line follow the same recipe: a cut gives the same bytes, a fine-tune the same weights up to rounding. */

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type TestFile, colourZip, smallModel } from './files.js';
import { golden, goldenIsThere } from './golden.js';
import { type Lopper, expect, test } from './page.js';

test.setTimeout(900_000);

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

/** The command line's program; npm test builds it and says where it is. */
function binary(): string {
  const targets = [process.env['CARGO_TARGET_DIR'], path.join(root, 'target')].filter((place) => place !== undefined);
  const places = [process.env['LOPPER_BINARY'], ...targets.map((place) => path.resolve(root, place, 'release/lopper'))];
  const found = places.find((place) => place !== undefined && existsSync(place));
  if (!found) throw new Error(`the command line's program is not there (${places.join(', ')}): run "cargo build --release -p lopper-cli"`);
  return found;
}

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** What the command line makes of a recipe that the page wrote. */
async function native(recipe: Buffer, model: TestFile, images?: TestFile): Promise<Buffer> {
  const place = await mkdtemp(path.join(tmpdir(), 'lopper-identical-'));
  const at = (name: string): string => path.join(place, name);
  try {
    await writeFile(at('recipe.json'), recipe);
    await writeFile(at(model.name), model.bytes);
    if (images) await writeFile(at(images.name), images.bytes);
    const data = images ? ['--data', at(images.name)] : [];
    await promisify(execFile)(binary(), ['run', at('recipe.json'), at(model.name), '-o', at('out.onnx'), '--device', 'cpu', ...data]);
    return await readFile(at('out.onnx'));
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}

/** The fields of a protobuf message that are messages or bytes, by number. */
function* parts(message: Buffer): Generator<[field: number, bytes: Buffer]> {
  let at = 0;
  const varint = (): number => {
    let [value, scale] = [0, 1];
    for (;;) {
      const byte = message.readUInt8(at);
      at += 1;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
  };
  while (at < message.length) {
    const key = varint();
    const length = key % 8 === 2 ? varint() : 0;
    if (key % 8 === 0) varint();
    else if (key % 8 === 2) yield [Math.floor(key / 8), message.subarray(at, at + length)];
    else at += key % 8 === 1 ? 8 : 4;
    at += length;
  }
}

const only = (message: Buffer, wanted: number): Buffer[] => [...parts(message)].filter(([field]) => field === wanted).map(([, bytes]) => bytes);

/** The numbers of every initializer with raw data. */
function weights(model: Buffer): Map<string, number[]> {
  const tensors = only(model, 7).flatMap((graph) => only(graph, 5));
  return new Map(
    tensors.map((tensor) => {
      const [name, data] = [only(tensor, 8)[0] ?? Buffer.alloc(0), only(tensor, 9)[0] ?? Buffer.alloc(0)];
      return [name.toString(), Array.from({ length: data.length / 4 }, (_, index) => data.readFloatLE(index * 4))];
    }),
  );
}

/** The largest difference of two models' weights, as a share of the largest weight of its tensor. */
function apart(one: Buffer, other: Buffer): number {
  const [mine, theirs] = [weights(one), weights(other)];
  expect([...mine.keys()]).toEqual([...theirs.keys()]);
  return Math.max(
    ...[...mine].map(([name, values]) => {
      const rest = theirs.get(name) ?? [];
      expect(rest).toHaveLength(values.length);
      const largest = Math.max(...values.map(Math.abs));
      return Math.max(...values.map((value, index) => Math.abs(value - (rest[index] ?? Number.NaN)))) / largest;
    }),
  );
}

/** The same recipe with another order of the images. */
const reordered = (recipe: Buffer): Buffer => {
  const { tune, ...rest } = JSON.parse(recipe.toString()) as { tune: object };
  return Buffer.from(JSON.stringify({ ...rest, tune: { ...tune, seed: 1 } }));
};

async function onCpu({ page }: Lopper): Promise<void> {
  await page.getByLabel(/^Device/).click();
  await page.getByRole('radio', { name: /^CPU/ }).click();
  await expect(page.locator('.menu summary')).toHaveText('CPU', { timeout: 120_000 });
}

async function cut(lopper: Lopper, criterion: string): Promise<void> {
  await lopper.page.getByRole('combobox', { name: 'Measure' }).selectOption(criterion);
  await lopper.button(/^Cut 50/).click();
  await expect(lopper.step('Proof')).toContainText('The cut model equals the masked original.');
}

/** The model and the recipe as they are downloaded. */
async function downloads(lopper: Lopper): Promise<{ model: Buffer; recipe: Buffer }> {
  const step = lopper.step('Download');
  const { bytes: model } = await lopper.download(step.getByRole('button', { name: /^Download the model/ }));
  const { bytes: recipe } = await lopper.download(step.getByRole('button', { name: 'Recipe', exact: true }));
  return { model, recipe };
}

const models: [string, () => TestFile][] = [
  ['a small model', smallModel],
  ...(goldenIsThere ? [['ResNet-20', () => ({ name: 'resnet20.onnx', bytes: golden('resnet20_simplified.onnx') })] as [string, () => TestFile]] : []),
];

for (const [name, file] of models) {
  test(`a cut of ${name} in three steps over the whole network gives the same bytes on the command line`, async ({ lopper, page }) => {
    await onCpu(lopper);
    const model = file();
    await lopper.drop(model);
    await page.getByRole('radio', { name: 'In the whole network' }).check();
    await page.getByText('More settings').click();
    await page.getByRole('spinbutton', { name: /^Steps/ }).fill('3');
    await page.keyboard.press('Tab');
    for (const criterion of ['l1', 'fpgm_l2', 'lamp']) {
      await cut(lopper, criterion);
      const { model: made, recipe } = await downloads(lopper);
      expect(JSON.parse(recipe.toString())).toMatchObject({ cut: { criterion, scope: 'global', steps: 3 } });
      expect(digest(await native(recipe, model)), criterion).toBe(digest(made));
    }
  });
}

// Products are added with one rounding where the processor has an instruction for it, and wasm has none: the bytes cannot be the same.
test('a fine-tune with augmentation gives the same bytes again, and the same weights up to rounding on the command line', async ({ lopper, page }) => {
  await onCpu(lopper);
  const [model, images] = [smallModel(), colourZip()];
  await lopper.drop(model, images);
  await expect(lopper.step('Data')).toContainText('4 classes');
  await cut(lopper, 'l1');
  await page.getByLabel('Epochs').fill('2');
  await page.getByLabel('Batch', { exact: true }).fill('64');
  await page.keyboard.press('Tab');
  await lopper.button('Fine-tune').click();
  const tune = lopper.step('Fine-tune');
  await expect(tune).toContainText('4 steps in');
  const { model: made, recipe } = await downloads(lopper);
  expect(JSON.parse(recipe.toString())).toMatchObject({ tune: { epochs: 2, batch: 64 } });

  const once = await native(recipe, model, images);
  expect(digest(await native(recipe, model, images))).toBe(digest(once));
  expect(apart(made, once)).toBeLessThan(1e-5);
  // A fine-tune in another order of the images is farther away.
  expect(apart(await native(reordered(recipe), model, images), once)).toBeGreaterThan(1e-3);

  // Another cut in between, so that nothing of the first run is left.
  await cut(lopper, 'l2');
  await cut(lopper, 'l1');
  await expect(tune).not.toContainText('steps in');
  await lopper.button('Fine-tune').click();
  await expect(tune).toContainText('4 steps in');
  expect(digest((await downloads(lopper)).model)).toBe(digest(made));
});
