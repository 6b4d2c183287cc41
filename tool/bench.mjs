// Runs every script in bench/, or the named ones: .mjs with Node, .py with Python 3.
//
//   npm run bench [-- NAME...]        NAME: a file of bench/, without its ending
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { Fault, root, run, script } from './lib.mjs';

const place = path.join(root, 'bench');
const programs = { '.mjs': process.execPath, '.py': 'python3' };

script(import.meta.url, async (args) => {
  const all = existsSync(place) ? (await readdir(place)).filter((file) => path.extname(file) in programs && !file.startsWith('_')).sort() : [];
  const names = all.map((file) => path.parse(file).name);
  const unknown = args.filter((name) => !names.includes(name));
  if (!all.length) throw new Fault('There is no script in bench/.');
  if (unknown.length) throw new Fault(`There is no bench ${unknown.join(', ')}: ${names.join(', ')}.`);
  const broken = [];
  for (const file of all.filter((each) => !args.length || args.includes(path.parse(each).name))) {
    console.log(`\n== ${path.parse(file).name}`);
    const { code } = await run(programs[path.extname(file)], [path.join(place, file)], { may: true });
    if (code) broken.push(file);
  }
  if (broken.length) throw new Fault(`Broken: ${broken.join(', ')}`);
});
