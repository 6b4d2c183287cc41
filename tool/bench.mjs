// Runs the scripts in bench/, or the named ones: .mjs with Node, .py with Python 3. Those that take hours run only by name.
//
//   npm run bench [-- NAME...]        NAME: a file of bench/, without its ending
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { Fault, root, run, script } from './lib.mjs';

const place = path.join(root, 'bench');
const hours = ['criteria', 'recovery'];
const programs = { '.mjs': process.execPath, '.py': 'python3' };

script(import.meta.url, async (args) => {
  const all = existsSync(place) ? (await readdir(place)).filter((file) => path.extname(file) in programs && !file.startsWith('_')).sort() : [];
  const names = all.map((file) => path.parse(file).name);
  const unknown = args.filter((name) => !names.includes(name));
  if (!all.length) throw new Fault('There is no script in bench/.');
  if (unknown.length) throw new Fault(`There is no bench ${unknown.join(', ')}: ${names.join(', ')}.`);
  const broken = [];
  const chosen = args.length ? args : names.filter((name) => !hours.includes(name));
  for (const file of all.filter((each) => chosen.includes(path.parse(each).name))) {
    console.log(`\n== ${path.parse(file).name}`);
    const { code } = await run(programs[path.extname(file)], [path.join(place, file)], { may: true });
    if (code) broken.push(file);
  }
  if (!args.length) console.log(`\nNot run, since they take hours: ${hours.join(', ')}. Run one by its name: npm run bench -- ${hours[0]}`);
  if (broken.length) throw new Fault(`Broken: ${broken.join(', ')}`);
});
