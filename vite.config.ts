import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type Plugin, defineConfig } from 'vite';

/** The service worker with the list of what it keeps. The engine's two modules are kept by the page, which loads one. */
const offline: Plugin = {
  name: 'offline',
  apply: 'build',
  async generateBundle(_, bundle) {
    const built = Object.keys(bundle).filter((name) => !/\.(wasm|html|map)$/.test(name));
    const files = ['./', 'icon.svg', 'manifest.webmanifest', ...built.sort()];
    const page = await readFile('www/index.html');
    const version = createHash('sha256').update(JSON.stringify(files)).update(page).digest('hex').slice(0, 12);
    const source = await readFile('www/offline.js', 'utf8');
    const constants = `const FILES = ${JSON.stringify(files)};\nconst VERSION = '${version}';\n`;
    this.emitFile({ type: 'asset', fileName: 'offline.js', source: constants + source.replace('/* global FILES, VERSION */\n', '') });
  },
};

export default defineConfig({
  root: 'www',
  // Relative addresses: the site works below any sub-path.
  base: './',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  worker: { format: 'es' },
  plugins: [offline],
  build: {
    outDir: '../dist',
    emptyOutDir: true,
    target: 'es2022',
    // The content security policy allows no script that is not a file.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1024,
  },
});
