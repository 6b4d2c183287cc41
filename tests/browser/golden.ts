/** The reference files beside the checkout, read as the tests need them. */

import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { inflateRawSync } from 'node:zlib';
import type { Page } from '@playwright/test';

const folder = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../../shared/golden');

export const goldenIsThere = existsSync(folder);
export const golden = (name: string): Buffer => readFileSync(path.join(folder, name));

/** PyTorch's outputs for the 64 images of `resnet20_batch64.npz`. */
export const goldenLogits = (): number[][] =>
  (JSON.parse(golden('resnet20.golden.json').toString()) as { logits: number[][] }).logits;

/** The bytes of an archive's entry: numpy stores or deflates them. */
function entry(archive: Buffer, name: string): Buffer {
  // The directory is read from its end record: local headers may lack sizes.
  const end = archive.lastIndexOf('PK\x05\x06');
  let at = archive.readUInt32LE(end + 16);
  for (let left = archive.readUInt16LE(end + 10); left > 0; left -= 1) {
    const [method, packed] = [archive.readUInt16LE(at + 10), archive.readUInt32LE(at + 20)];
    const [title, extra, comment] = [28, 30, 32].map((offset) => archive.readUInt16LE(at + offset)) as [number, number, number];
    const local = archive.readUInt32LE(at + 42);
    if (archive.toString('utf8', at + 46, at + 46 + title) === name) {
      const start = local + 30 + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28);
      const bytes = archive.subarray(start, start + packed);
      return method === 0 ? bytes : inflateRawSync(bytes);
    }
    at += 46 + title + extra + comment;
  }
  throw new Error(`no ${name} in the archive`);
}

/** The first `count` images of an npz as the golden networks read them, one batch after the other. */
export function images(archive: Buffer, count: number): number[] {
  const bytes = entry(archive, 'images.npy');
  const pixels = bytes.subarray(10 + bytes.readUInt16LE(8));
  const mean = [0.4914, 0.4822, 0.4465];
  const deviation = [0.247, 0.2435, 0.2616];
  const area = 32 * 32;
  return Array.from({ length: count * 3 * area }, (_, index) => {
    const [image, channel, place] = [Math.floor(index / (3 * area)), Math.floor(index / area) % 3, index % area];
    const value = (pixels[(image * area + place) * 3 + channel] ?? Number.NaN) / 255;
    return (value - (mean[channel] ?? 0)) / (deviation[channel] ?? 1);
  });
}

/** Runs a model on images in batches of 32 and gives the outputs, one list an image. */
export async function outputs(page: Page, model: Buffer, pixels: number[], choice: 'cpu' | 'gpu'): Promise<number[][]> {
  return page.evaluate(
    async ({ base64, pixels, choice }) => {
      const core = (await import(new URL('./pkg/lopper_web.js', location.href).href)) as typeof import('../../www/pkg/gpu/lopper_web.js');
      await core.default();
      const nothing = (): void => undefined;
      const lopper = new core.Lopper(nothing, nothing, nothing);
      const { kind } = JSON.parse(await lopper.device(choice)) as { kind: string };
      if (kind !== choice) throw new Error(`the engine runs on ${kind} instead of ${choice}`);
      lopper.open(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)), 'golden.onnx', [], new Float64Array(), nothing);
      const [image, batch, classes] = [3 * 32 * 32, 32, 10];
      const rows: number[][] = [];
      for (let at = 0; at < pixels.length; at += image * batch) {
        const input = Float32Array.from(pixels.slice(at, at + image * batch));
        const out = await lopper.run('original', input, JSON.stringify([input.length / image, 3, 32, 32]));
        for (let row = 0; row < out.length; row += classes) rows.push([...out.subarray(row, row + classes)]);
      }
      return rows;
    },
    { base64: model.toString('base64'), pixels, choice },
  );
}
