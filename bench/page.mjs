// In one page of Chromium: opening and cutting resnet18 and a file of ResNet-50's size; ResNet-20 at batch 32 on the CPU and on WebGPU (a software adapter),
// inference and distances of filters against onnxruntime-web and training against TensorFlow.js and jax-js.
import { createReadStream, existsSync } from 'node:fs';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from '@playwright/test';
import ts from 'typescript';
import { chromium as browserPath } from '../tool/chromium.mjs';
import { Fault, cache, cargo, pkg, root, run, script } from '../tool/lib.mjs';
import { buildWasm } from '../tool/wasm.mjs';

const PEERS = ['@tensorflow/tfjs@4.22.0', '@tensorflow/tfjs-backend-webgpu@4.22.0', '@jax-js/jax@0.1.25'];
const types = { '.js': 'text/javascript', '.mjs': 'text/javascript', '.wasm': 'application/wasm', '.html': 'text/html' };

async function peers() {
  const place = path.join(cache, 'bench-node');
  const modules = path.join(place, 'node_modules');
  if (!['@tensorflow/tfjs-backend-webgpu', '@tensorflow/tfjs', '@jax-js/jax'].every((name) => existsSync(path.join(modules, name)))) {
    console.log('Installing peers:', ...PEERS);
    await mkdir(place, { recursive: true });
    await writeFile(path.join(place, 'package.json'), '{"private":true}');
    await run('npm', ['install', '--no-audit', '--no-fund', '--silent', ...PEERS], { cwd: place });
  }
  return modules;
}

async function resnet18() {
  const place = path.join(cache, 'zoo');
  const file = path.join(place, 'resnet18.onnx');
  if (!existsSync(file)) await run('python3', [path.join(root, '../shared/zoo/unpack.py'), place], { quiet: true });
  return file;
}

/** The browser tests' model with the widths of ResNet-50 (102 MB), random and not trained. */
async function resnet50() {
  const place = path.join(cache, 'bench-models');
  const file = path.join(place, 'resnet50.onnx');
  if (existsSync(file)) return file;
  await mkdir(place, { recursive: true });
  await writeFile(path.join(place, 'package.json'), '{"private":true,"type":"module"}');
  const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 };
  for (const name of ['files', 'large']) {
    const source = await readFile(path.join(root, `tests/browser/${name}.ts`), 'utf8');
    await writeFile(path.join(place, `${name}.js`), ts.transpileModule(source, { compilerOptions }).outputText);
  }
  const made = await import(pathToFileURL(path.join(place, 'large.js')).href);
  await writeFile(file, made.resnet50().bytes);
  return file;
}

/** VGG-16's convolutions, and the sums of distances of their filters by matrix products. */
async function vgg16() {
  const place = path.join(cache, 'vgg16');
  const [model, distances] = [path.join(place, 'vgg16.onnx'), path.join(place, 'vgg16-distances.onnx')];
  if (!existsSync(distances)) {
    await mkdir(place, { recursive: true });
    await run(cargo, ['bench', '--quiet', '-p', 'lopper-core', '--bench', 'scores', '--', model]);
    await run('python3', [path.join(root, 'bench/_distances.py'), model, distances]);
  }
  return { 'vgg16.onnx': model, 'vgg16-distances.onnx': distances };
}

/** Serves the named folders and files; a page of nothing for all else. Files are too large for Playwright's routes. */
async function serve(folders, files) {
  const server = createServer((request, response) => {
    const [, folder, name] = new URL(request.url ?? '/', 'http://localhost').pathname.split('/');
    const file = name && (files[name] ?? path.join(folders[folder] ?? '/nowhere', name));
    if (file && !existsSync(file)) return response.writeHead(404).end();
    response.writeHead(200, { 'content-type': file ? (types[path.extname(file)] ?? 'application/octet-stream') : types['.html'] });
    return file ? createReadStream(file).pipe(response) : response.end('<!doctype html><title>bench</title>');
  });
  server.listen(0, 'localhost');
  await once(server, 'listening');
  return { server, address: `http://localhost:${server.address().port}/` };
}

script(import.meta.url, async () => {
  const golden = path.join(root, '../shared/golden');
  if (!existsSync(golden)) throw new Fault('../shared is missing: the models of this bench are there');
  if (!process.env.LOPPER_PKG) await buildWasm();
  const modules = await peers();
  const tf = path.join(modules, '@tensorflow');
  const folders = {
    pkg: process.env.LOPPER_PKG ?? path.join(pkg, 'gpu'),
    ort: path.join(root, 'node_modules/onnxruntime-web/dist'),
    tfjs: path.join(tf, 'tfjs/dist'),
    tfgpu: path.join(tf, 'tfjs-backend-webgpu/dist'),
    jax: path.join(modules, '@jax-js/jax/dist'),
    bench: path.join(root, 'bench'),
    golden,
  };
  const files = { 'resnet18.onnx': await resnet18(), 'resnet50.onnx': await resnet50(), ...(await vgg16()) };
  const { server, address } = await serve(folders, files);
  const browser = await chromium.launch({
    executablePath: await browserPath(),
    args: ['--no-sandbox', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'],
  });
  try {
    const page = await browser.newPage();
    page.on('pageerror', (error) => console.error(error.message));
    page.on('console', (message) => { if (message.type() === 'log') console.log(message.text()); });
    await page.goto(address);
    const parts = process.env.LOPPER_BENCH?.split(',') ?? ['core', 'scores', 'cpu', 'gpu', 'peers'];
    await page.evaluate(async (parts) => (await import('/bench/_page.js')).main(parts), parts);
  } finally {
    await browser.close();
    server.close();
  }
});
