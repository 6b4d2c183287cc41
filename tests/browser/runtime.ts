/** A bare page on the site's origin that holds onnxruntime-web and the engine, side by side. */

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BrowserContext, Page } from '@playwright/test';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const FOLDERS: Record<string, string> = {
  ort: path.join(root, 'node_modules/onnxruntime-web/dist'),
  pkg: path.join(root, 'www/pkg/gpu'),
};
const TYPES: Record<string, string> = { '.mjs': 'text/javascript', '.js': 'text/javascript', '.wasm': 'application/wasm' };

/** Opens the page. Its files come from the checkout, not from the site, and it has no policy of its own. */
export async function runtimePage(context: BrowserContext): Promise<Page> {
  const page = await context.newPage();
  await page.route('**/__test/**', async (route) => {
    const [folder = '', name = ''] = new URL(route.request().url()).pathname.split('/__test/')[1]?.split('/') ?? [];
    if (folder === '') return route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>test</title>' });
    const place = FOLDERS[folder];
    if (!place) return route.abort();
    return route.fulfill({ contentType: TYPES[path.extname(name)] ?? 'text/plain', body: await readFile(path.join(place, name)) });
  });
  await page.goto('./__test/');
  return page;
}

/** One model on one input of noise, on both engines. */
export interface Both {
  shape: number[];
  runtime: number[];
  engine: number[];
  device: string;
}

/** Runs `model` in onnxruntime-web and in Lopper's engine on `choice`, on the same input. */
export async function runBoth(page: Page, model: Buffer, shape: number[], choice: 'cpu' | 'gpu'): Promise<Both> {
  return page.evaluate(
    async ({ base64, shape, choice }) => {
      const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      let state = 12345;
      const input = Float32Array.from({ length: shape.reduce((product, size) => product * size, 1) }, () => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return state / 2 ** 31 - 1;
      });

      const load = (name: string): Promise<unknown> => import(new URL(name, location.href).href);
      const ort = (await load('./ort/ort.wasm.min.mjs')) as typeof import('onnxruntime-web');
      ort.env.wasm.numThreads = 1;
      const session = await ort.InferenceSession.create(bytes.slice());
      const [inputName = ''] = session.inputNames;
      const [outputName = ''] = session.outputNames;
      const results = await session.run({ [inputName]: new ort.Tensor('float32', input, shape) });
      const runtime = [...((results[outputName]?.data ?? []) as Float32Array)];

      const core = (await load('./pkg/lopper_web.js')) as typeof import('../../www/pkg/gpu/lopper_web.js');
      await core.default();
      const nothing = (): void => undefined;
      const lopper = new core.Lopper(nothing, nothing, nothing);
      const device = (JSON.parse(await lopper.device(choice)) as { kind: string }).kind;
      lopper.open(bytes, 'downloaded.onnx', [], new Float64Array(), nothing);
      const engine = [...(await lopper.run('original', input, JSON.stringify(shape)))];
      return { shape, runtime, engine, device };
    },
    { base64: model.toString('base64'), shape, choice },
  );
}

/** Largest difference as a share of the largest output. */
export function difference(both: Both): number {
  const largest = Math.max(...both.runtime.map(Math.abs));
  return Math.max(...both.runtime.map((value, index) => Math.abs(value - (both.engine[index] ?? Number.NaN)))) / largest;
}
