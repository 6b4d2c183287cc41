// Any cargo command on the page's crate, with the compiler and the flags of the real build.
//
//   node tool/cargo-wasm.mjs clippy -- -D warnings
import { cargo, run, script } from './lib.mjs';
import { toolchain } from './wasm-toolchain.mjs';

/** Runs `cargo COMMAND` for lopper-web in profile `web`; `rest` goes to cargo, too. */
export async function cargoWasm(command, rest = []) {
  const chain = await toolchain();
  await run(chain.cargo ?? cargo, [command, '--locked', '--profile', 'web', '-p', 'lopper-web', ...chain.args, ...rest], { env: chain.env });
}

script(import.meta.url, async ([command = 'build', ...rest]) => cargoWasm(command, rest));
