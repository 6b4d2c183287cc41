// Builds the core for the browser into www/pkg, with WebGPU (gpu) and without (cpu); does nothing while its sources are the ones it was built from.
//
//   node tool/wasm.mjs [--force]
import { rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { cargoWasm } from './cargo-wasm.mjs';
import { digest, kits, ownTarget, pkg, run, script, stamp, stamped, targets } from './lib.mjs';
import { wasmBindgen } from './wasm-bindgen.mjs';
import { target } from './wasm-toolchain.mjs';

// What the module is made of: a crate's tests and benches are not in it.
const sources = ['Cargo.toml', 'Cargo.lock', 'tool/wasm.mjs', 'tool/cargo-wasm.mjs', 'tool/wasm-toolchain.mjs',
  ...['core', 'kernels', 'engine', 'pipeline', 'web'].flatMap((name) =>
    ['Cargo.toml', 'build.rs', 'proto', 'src'].map((part) => `crate/${name}/${part}`))];

export async function buildWasm({ force = false } = {}) {
  const mark = path.join(pkg, 'stamp');
  const before = await digest(sources);
  if (!force && (await stamped(mark, before))) return false;
  const bindgen = await wasmBindgen();
  await ownTarget();
  await rm(pkg, { recursive: true, force: true });
  for (const [kit, features] of Object.entries(kits)) {
    console.log(`Building the core for the browser, ${kit} (the first time takes many minutes)`);
    await cargoWasm('build', features);
    const place = path.join(pkg, kit);
    // Cargo's `strip` does not reach a crate that has its own opt-level in the profile: the names go here.
    await run(bindgen, ['--target', 'web', '--remove-name-section', '--remove-producers-section', '--out-dir', place, path.join(targets, target, 'web', 'lopper_web.wasm')]);
    const { size } = await stat(path.join(place, 'lopper_web_bg.wasm'));
    console.log(`www/pkg/${kit}/lopper_web_bg.wasm: ${(size / 1e6).toFixed(2)} MB`);
  }
  // The digest taken before: an edit made during the build asks for another one.
  await stamp(mark, before);
  return true;
}

script(import.meta.url, async (args) => { await buildWasm({ force: args.includes('--force') }); });
