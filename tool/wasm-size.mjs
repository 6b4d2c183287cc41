// The size gate of the core in the browser: raw, gzip -9 and brotli -q 11 against the figures in tool/wasm-size.json.
//
//   node tool/wasm-size.mjs [--write REASON]     --write: record the present figures as the new ones, and why
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import zlib from 'node:zlib';
import { Fault, kits, pkg, root, script } from './lib.mjs';

const figures = path.join(root, 'tool', 'wasm-size.json');
const growth = 1.02;
// What the product aims at; BENCHMARKS.md says how far it is.
const aim = { raw: 16e6, brotli: 2.5e6 };

async function measure(kit) {
  const file = path.join(pkg, kit, 'lopper_web_bg.wasm');
  if (!existsSync(file)) throw new Fault(`www/pkg/${kit}/lopper_web_bg.wasm is not built: run "node tool/wasm.mjs" first.`);
  const bytes = await readFile(file);
  const quality = { [zlib.constants.BROTLI_PARAM_QUALITY]: 11, [zlib.constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
  const [gzip, brotli] = await Promise.all([
    promisify(zlib.gzip)(bytes, { level: 9 }),
    promisify(zlib.brotliCompress)(bytes, { params: quality }),
  ]);
  return { raw: bytes.length, gzip: gzip.length, brotli: brotli.length };
}

script(import.meta.url, async (args) => {
  const now = Object.fromEntries(await Promise.all(Object.keys(kits).map(async (kit) => [kit, await measure(kit)])));
  if (args[0] === '--write') {
    if (!args[1]) throw new Fault('--write wants a reason.');
    await writeFile(figures, `${JSON.stringify({ ...now, reason: args[1] }, null, 2)}\n`);
  }
  const committed = existsSync(figures) ? JSON.parse(await readFile(figures, 'utf8')) : null;
  const faults = [];
  for (const [kit, sizes] of Object.entries(now)) {
    for (const [name, bytes] of Object.entries(sizes)) {
      const was = committed?.[kit]?.[name];
      const change = was ? `${((bytes / was - 1) * 100).toFixed(2)} % against ${was}` : 'no committed figure';
      const over = bytes > (aim[name] ?? Infinity) ? `; over the aim of ${aim[name] / 1e6} MB` : '';
      console.log(`wasm ${kit} ${name.padEnd(6)} ${String(bytes).padStart(9)} bytes  ${(bytes / 1e6).toFixed(2)} MB  ${change}${over}`);
      if (!was || bytes > was * growth) faults.push(`${kit} ${name}: ${change} (allowed +${((growth - 1) * 100).toFixed(0)} %)`);
    }
  }
  if (faults.length) {
    throw new Fault(`The core for the browser has grown.\n${faults.join('\n')}\nIf the growth is worth it: node tool/wasm-size.mjs --write REASON`);
  }
});
