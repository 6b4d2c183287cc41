// The wasm-bindgen program of exactly the version that Cargo.lock names: any other refuses the module.
//
//   node tool/wasm-bindgen.mjs        installs it if need be, prints where it is
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { Fault, cargo, root, run, script, tools, which } from './lib.mjs';

async function isVersion(program, version) {
  const { code, out } = await run(program, ['--version'], { quiet: true, may: true });
  return code === 0 && out.trim() === `wasm-bindgen ${version}`;
}

export async function wasmBindgen() {
  const lock = await readFile(path.join(root, 'Cargo.lock'), 'utf8');
  const version = lock.match(/name = "wasm-bindgen"\nversion = "([^"]+)"/)?.[1];
  if (!version) throw new Fault('Cargo.lock names no wasm-bindgen, so the page has no core to bind.');
  const place = path.join(tools, `wasm-bindgen-${version}`);
  const own = path.join(place, 'bin', 'wasm-bindgen');
  for (const program of [which('wasm-bindgen'), own]) {
    if (program && existsSync(program) && (await isVersion(program, version))) return program;
  }
  console.log(`Installing wasm-bindgen ${version} into ${place}`);
  // Without its default feature, a TLS client that only its test runner uses. Its lock file may name a version
  // that the registry at hand does not have.
  const install = ['install', 'wasm-bindgen-cli', '--version', version, '--root', place, '--no-default-features'];
  const locked = await run(cargo, [...install, '--locked'], { may: true });
  if (locked.code) await run(cargo, install);
  if (!(await isVersion(own, version))) throw new Fault(`cargo install left no working wasm-bindgen ${version} at ${own}.`);
  return own;
}

script(import.meta.url, async () => console.log(await wasmBindgen()));
