// Installs the npm packages of package-lock.json, unless they are installed already.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { digest, root, run, script, stamp, stamped } from './lib.mjs';

export async function installPackages() {
  const modules = path.join(root, 'node_modules');
  const mark = path.join(modules, '.lopper-stamp');
  const want = await digest(['package.json', 'package-lock.json']);
  if (existsSync(modules) && (await stamped(mark, want))) return false;
  console.log('Installing npm packages');
  await run('npm', ['ci', '--no-audit', '--no-fund']);
  await stamp(mark, want);
  return true;
}

script(import.meta.url, async () => { await installPackages(); });
