// Builds the page with Vite into dist/; does nothing while its sources are the ones it was built from.
//
//   node tool/page.mjs [--force] [--compress]     --compress: also write .br and .gz files for servers that use them
import { existsSync } from 'node:fs';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import zlib from 'node:zlib';
import { Fault, digest, dist, root, run, script, stamp, stamped } from './lib.mjs';
import { meta } from './policy.mjs';

const sources = ['www', 'crate/pipeline/assets', 'vite.config.ts', 'package-lock.json', 'tool/page.mjs', 'tool/policy.mjs'];
const mark = path.join(root, '.cache', 'page');

const directives = (policy) => policy.split(';').map((part) => part.trim().split(/\s+/).join(' ')).filter(Boolean).sort().join(';');

/** A plain static host sends no policy, so the page must carry it. */
async function checkPolicy() {
  const html = await readFile(path.join(dist, 'index.html'), 'utf8');
  const tag = html.match(/<meta[^>]+http-equiv="Content-Security-Policy"[^>]*>/i)?.[0];
  const policy = tag?.match(/content="([^"]*)"/)?.[1];
  if (!policy || directives(policy) !== directives(meta)) {
    throw new Fault(`www/index.html must carry the policy of tool/policy.mjs:\n<meta http-equiv="Content-Security-Policy" content="${meta}">`);
  }
}

async function compress() {
  const entries = await readdir(dist, { recursive: true, withFileTypes: true });
  const worth = entries.filter((entry) => entry.isFile() && /\.(html|js|css|wasm|json|svg|txt|webmanifest|onnx)$/.test(entry.name));
  await Promise.all(worth.map(async (entry) => {
    const file = path.join(entry.parentPath, entry.name);
    const bytes = await readFile(file);
    const [br, gz] = await Promise.all([
      promisify(zlib.brotliCompress)(bytes, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 11, [zlib.constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } }),
      promisify(zlib.gzip)(bytes, { level: 9 }),
    ]);
    if (br.length < bytes.length) await writeFile(`${file}.br`, br);
    if (gz.length < bytes.length) await writeFile(`${file}.gz`, gz);
  }));
}

export async function buildPage({ force = false, compressed = false } = {}) {
  const want = await digest(sources);
  const done = !force && existsSync(path.join(dist, 'index.html'));
  if (done && (await stamped(mark, `${want} compressed`))) return false;
  if (done && !compressed && (await stamped(mark, want))) return false;
  await run(process.execPath, [path.join(root, 'node_modules', 'vite', 'bin', 'vite.js'), 'build', '--logLevel', 'warn']);
  await checkPolicy();
  if (compressed) await compress();
  await stamp(mark, compressed ? `${want} compressed` : want);
  return true;
}

script(import.meta.url, async (args) => {
  await buildPage({ force: args.includes('--force'), compressed: args.includes('--compress') });
});
