// A Chromium for the browser tests: $CHROMIUM, an installed one, or Debian's, installed by apt-get.
//
//   node tool/chromium.mjs        prints its path
import { existsSync } from 'node:fs';
import { Fault, run, script, which } from './lib.mjs';

const names = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'];

export async function chromium() {
  const told = process.env.CHROMIUM;
  if (told) {
    if (!existsSync(told)) throw new Fault(`CHROMIUM names ${told}, which does not exist.`);
    return told;
  }
  const found = () => names.map(which).find(Boolean);
  if (found()) return found();
  if (!which('apt-get') || process.getuid?.() !== 0) {
    throw new Fault('The browser tests need Chromium: install it, or name one in the environment variable CHROMIUM.');
  }
  console.error('Installing Chromium');
  const quiet = { quiet: true, env: { DEBIAN_FRONTEND: 'noninteractive' } };
  await run('apt-get', ['update'], { ...quiet, may: true });
  await run('apt-get', ['install', '-y', '--no-install-recommends', 'chromium'], quiet);
  if (!found()) throw new Fault('apt-get installed chromium, but no browser is on PATH.');
  return found();
}

script(import.meta.url, async () => console.log(await chromium()));
