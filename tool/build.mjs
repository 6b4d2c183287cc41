// Everything that the site needs, in order: npm packages, the core as wasm, the page. Leaves the static site in dist/.
//
//   node tool/build.mjs [--compress]
import path from 'node:path';
import { dist, root, script } from './lib.mjs';
import { installPackages } from './packages.mjs';
import { buildPage } from './page.mjs';
import { buildWasm } from './wasm.mjs';

export async function build({ compressed = false } = {}) {
  await installPackages();
  await buildWasm();
  await buildPage({ compressed });
}

script(import.meta.url, async (args) => {
  await build({ compressed: args.includes('--compress') });
  console.log(`The site is in ${path.relative(root, dist)}/: serve that folder at any address.`);
});
