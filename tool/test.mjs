// The project's tests, every runner counted; the last line is "N passed, N failed".
//
//   npm test [-- RUNNER...]        runners: tool, core, rust, types, browser; all without a name
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { build } from './build.mjs';
import { chromium } from './chromium.mjs';
import { Fault, cargo, ownTarget, root, run, script, targets } from './lib.mjs';

/** The sums of all of cargo's "test result" lines: one a test program. */
function cargoCounts(out) {
  const lines = [...out.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed/gm)];
  const sum = (column) => lines.reduce((total, line) => total + Number(line[column]), 0);
  return { passed: sum(1), failed: sum(2) };
}

async function cargoTest(args) {
  const { code, out } = await run(cargo, ['test', '--locked', '--no-fail-fast', ...args], { capture: true, may: true });
  return { code, ...cargoCounts(out) };
}

async function tool() {
  const { code, out } = await run(process.execPath, ['--test', '--test-reporter=spec', 'tests/tool/'], { capture: true, may: true });
  const count = (word) => Number(out.match(new RegExp(`^\\S* ?${word} (\\d+)$`, 'm'))?.[1] ?? 0);
  return { code, passed: count('pass'), failed: count('fail') };
}

async function types() {
  await build();
  let failed = 0;
  const configs = ['tsconfig.json', 'tsconfig.worker.json'];
  for (const config of configs) {
    const { code } = await run(process.execPath, [path.join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '--noEmit', '-p', config], { may: true });
    failed += code ? 1 : 0;
  }
  return { code: failed, passed: configs.length - failed, failed };
}

async function browser() {
  await build();
  // The page is compared with the command line.
  await run(cargo, ['build', '--locked', '--release', '-p', 'lopper-cli']);
  const scratch = await mkdtemp(path.join(tmpdir(), 'lopper-'));
  try {
    const report = path.join(scratch, 'report.json');
    const env = { CHROMIUM: await chromium(), PLAYWRIGHT_JSON_OUTPUT_NAME: report, PLAYWRIGHT_FORCE_TTY: '0', LOPPER_BINARY: path.join(targets, 'release', 'lopper') };
    const cli = path.join(root, 'node_modules', '@playwright', 'test', 'cli.js');
    const { code } = await run(process.execPath, [cli, 'test', '--reporter=list,json'], { env, may: true });
    const { stats, errors } = JSON.parse(await readFile(report, 'utf8').catch(() => '{"stats":{"expected":0,"unexpected":0,"flaky":0},"errors":[1]}'));
    return { code: code || errors.length, passed: stats.expected + stats.flaky, failed: stats.unexpected };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

const runners = {
  tool,
  core: () => cargoTest(['-p', 'lopper-core', '-p', 'lopper-kernels']),
  rust: () => cargoTest(['--release', '-p', 'lopper-engine', '-p', 'lopper-pipeline', '-p', 'lopper-cli']),
  types,
  browser,
};

script(import.meta.url, async (args) => {
  const names = args.length ? args : Object.keys(runners);
  const unknown = names.filter((name) => !(name in runners));
  if (unknown.length) throw new Fault(`There is no runner ${unknown.join(', ')}: ${Object.keys(runners).join(', ')}.`);
  await ownTarget();
  const rows = [];
  for (const name of names) {
    console.log(`\n== ${name}`);
    const start = Date.now();
    const result = await runners[name]().catch((error) => {
      console.error(error instanceof Fault ? error.message : error);
      return { code: 1, passed: 0, failed: 0 };
    });
    // A runner that broke, or that ran nothing, is a failure even though no test of its own failed.
    const broke = result.failed === 0 && (result.code !== 0 || result.passed === 0);
    rows.push({ ...result, name, failed: result.failed + (broke ? 1 : 0), broke, seconds: (Date.now() - start) / 1000 });
  }
  console.log('');
  for (const row of rows) {
    console.log(`${row.name.padEnd(8)} ${row.passed} passed, ${row.failed} failed${row.broke ? ' (the runner itself broke or found no test)' : ''} in ${row.seconds.toFixed(0)} s`);
  }
  const sum = (key) => rows.reduce((total, row) => total + row[key], 0);
  console.log(`${sum('passed')} passed, ${sum('failed')} failed`);
  process.exitCode = sum('failed') ? 1 : 0;
});
