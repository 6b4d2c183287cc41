// A Rust compiler that can build for the browser: {env, args} to give to cargo.
//
//   node tool/wasm-toolchain.mjs [--debian]      --debian: go straight to the fallback
//
// First the installed toolchain, then `rustup target add`, then Debian's rustc for wasm, unpacked into the cache
// folder (nothing enters PATH), with the standard library built from its sources.
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { Fault, run, script, stamp, tools, which } from './lib.mjs';

export const target = 'wasm32-unknown-unknown';
const flags = '-C target-feature=+simd128';

async function installed() {
  const { code, out } = await run('rustc', ['--print', 'sysroot'], { quiet: true, may: true });
  return code === 0 && existsSync(path.join(out.trim(), 'lib', 'rustlib', target, 'lib'));
}

/** The packages to unpack; the library's version and LLVM's are read off what rustc-web depends on. */
async function packages() {
  const { code, out } = await run('apt-cache', ['depends', '--recurse', '--no-recommends', '--no-suggests', '--no-conflicts',
    '--no-breaks', '--no-replaces', '--no-enhances', 'rustc-web'], { quiet: true, may: true });
  const names = new Set(code === 0 ? out.match(/[a-z0-9][a-z0-9.+-]+/g) : []);
  const pick = (pattern) => [...names].filter((name) => pattern.test(name));
  const llvm = pick(/^libllvm\d+$/)[0];
  const std = pick(/^libstd-rust-web-[\d.]+$/)[0];
  if (!llvm || !std) return null;
  return { llvm: llvm.slice('libllvm'.length), list: ['rustc-web', 'rust-web-src', 'libstd-rust-web-dev', std, llvm, llvm.replace('libllvm', 'lld-')] };
}

async function debian() {
  const lacking = ['apt-get', 'apt-cache', 'dpkg'].filter((name) => !which(name));
  if (lacking.length) {
    throw new Fault(`The ${target} target of Rust is missing, rustup cannot add it, and Debian's packages cannot stand in `
      + `(${lacking.join(', ')} not found). Install the target, then start again.`);
  }
  let wanted = await packages();
  if (!wanted) {
    await run('apt-get', ['update'], { quiet: true, may: true });
    wanted = await packages();
  }
  if (!wanted) throw new Fault(`The ${target} target of Rust is missing, and Debian's rustc-web is not in its package lists.`);
  const place = path.join(tools, 'rust-web');
  const done = path.join(place, 'done');
  if (!existsSync(done)) {
    console.log(`Unpacking Debian's Rust compiler for wasm into ${place}`);
    const fresh = `${place}.new`;
    await rm(fresh, { recursive: true, force: true });
    await mkdir(fresh, { recursive: true });
    const got = await run('apt-get', ['download', ...wanted.list], { cwd: fresh, quiet: true, may: true });
    if (got.code) {
      await run('apt-get', ['update'], { quiet: true, may: true });
      await run('apt-get', ['download', ...wanted.list], { cwd: fresh, quiet: true });
    }
    for (const file of (await readdir(fresh)).filter((name) => name.endsWith('.deb'))) {
      await run('dpkg', ['-x', file, fresh], { cwd: fresh, quiet: true });
      await rm(path.join(fresh, file));
    }
    await rm(place, { recursive: true, force: true });
    await rename(fresh, place);
    await stamp(done, wanted.list.join('\n'));
  }
  // The unpacked cargo lacks its libraries, rustup's works with any rustc.
  const rustup = which('rustup') && (await run('rustup', ['which', 'cargo'], { quiet: true, may: true }));
  const usr = path.join(place, 'usr');
  const llvm = path.join(usr, 'lib', `llvm-${wanted.llvm}`);
  const libraries = [...new Set([path.join(usr, 'lib', 'x86_64-linux-gnu'), path.join(usr, 'lib', 'aarch64-linux-gnu'), path.join(llvm, 'lib')])]
    .filter((folder) => existsSync(folder));
  return {
    cargo: rustup && rustup.code === 0 ? rustup.out.trim() : undefined,
    env: {
      LD_LIBRARY_PATH: [...libraries, process.env.LD_LIBRARY_PATH].filter(Boolean).join(':'),
      RUSTC_BOOTSTRAP: '1',
      RUSTC: path.join(usr, 'bin', 'rustc'),
      CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER: path.join(llvm, 'bin', 'wasm-ld'),
    },
    args: ['-Zbuild-std=std,panic_abort'],
  };
}

/** What cargo needs to build for the browser: {cargo, env, args}. */
export async function toolchain({ fallback = false } = {}) {
  let found = fallback ? await debian() : null;
  if (!found && !(await installed())) {
    const added = which('rustup') && (await run('rustup', ['target', 'add', target], { may: true }));
    if (!added || added.code || !(await installed())) found = await debian();
  }
  const { cargo, env = {}, args = [] } = found ?? {};
  return { cargo, env: { ...env, RUSTFLAGS: flags }, args: ['--target', target, ...args] };
}

script(import.meta.url, async (args) => {
  console.log(JSON.stringify(await toolchain({ fallback: args.includes('--debian') }), null, 2));
});
