// What the other scripts share: where things are, how a command is run, when a step may be skipped.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, utimes, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
export const cache = path.join(process.env.XDG_CACHE_HOME || path.join(homedir(), '.cache'), 'lopper');
export const tools = path.join(cache, 'tools');
export const pkg = path.join(root, 'www', 'pkg');
// The two modules of the core for the browser, and what cargo is told for each.
export const kits = { cpu: ['--no-default-features'], gpu: [] };
export const dist = path.join(root, 'dist');
export const cargo = process.env.CARGO || 'cargo';
export const targets = process.env.CARGO_TARGET_DIR ? path.resolve(root, process.env.CARGO_TARGET_DIR) : path.join(root, 'target');

/** A fault with a sentence for the person at the terminal; anything else is a bug and keeps its stack. */
export class Fault extends Error {}

/**
 * Runs a command and resolves to {code, out}. `quiet` keeps the output off the terminal, `capture` keeps a copy of it,
 * `may` lets a failure through as a value instead of a Fault.
 */
export function run(command, args, { cwd = root, env = {}, quiet = false, capture = false, may = false } = {}) {
  return new Promise((resolve, reject) => {
    const piped = quiet || capture;
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', piped ? 'pipe' : 'inherit', piped ? 'pipe' : 'inherit'],
    });
    let out = '';
    for (const [stream, sink] of [[child.stdout, process.stdout], [child.stderr, process.stderr]]) {
      stream?.setEncoding('utf8').on('data', (text) => {
        out += text;
        if (!quiet) sink.write(text);
      });
    }
    const shown = [path.basename(command), ...args].join(' ');
    child.on('error', (error) => {
      if (may) resolve({ code: 127, out: String(error) });
      else reject(new Fault(`${shown} could not be started: ${error.message}`));
    });
    child.on('close', (code, signal) => {
      if (code === 0 || may) resolve({ code: code ?? 1, out });
      else reject(new Fault(`${shown} failed (${signal ?? `exit ${code}`})${quiet ? `:\n${out.trimEnd()}` : ''}`));
    });
  });
}

/** The full path of a command on PATH, or null. */
export function which(name) {
  if (name.includes(path.sep)) return existsSync(name) ? name : null;
  const places = (process.env.PATH ?? '').split(path.delimiter).filter(Boolean);
  return places.map((place) => path.join(place, name)).find((file) => existsSync(file)) ?? null;
}

async function* files(place) {
  if (!existsSync(place)) return;
  const entries = await readdir(place, { withFileTypes: true }).catch(() => null);
  if (!entries) {
    yield place;
    return;
  }
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.isDirectory()) yield* files(path.join(place, entry.name));
    else yield path.join(place, entry.name);
  }
}

/** A digest over the named files and folders (relative to the root), and over any further text that decides a result. */
export async function digest(places, extra = '') {
  const hash = createHash('sha256').update(extra);
  for (const place of places) {
    for await (const file of files(path.join(root, place))) {
      hash.update(`\0${path.relative(root, file)}\0`).update(await readFile(file));
    }
  }
  return hash.digest('hex');
}

export async function stamped(file, value) {
  return existsSync(file) && (await readFile(file, 'utf8')) === value;
}

export async function stamp(file, value) {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, value);
}

/**
 * Makes cargo build this checkout's crates anew where another one last used the target folder: cargo goes by the age of files,
 * so it would take the other's programs, with the other's paths in them, for this one's.
 */
export async function ownTarget() {
  const mark = path.join(targets, 'checkout');
  if (await stamped(mark, root)) return;
  const now = new Date();
  for await (const file of files(path.join(root, 'crate'))) await utimes(file, now, now);
  await stamp(mark, root);
}

/** Runs `main` when the script itself was started, and turns a Fault into one line and exit 1. */
export function script(url, main) {
  if (!process.argv[1] || path.resolve(process.argv[1]) !== fileURLToPath(url)) return;
  main(process.argv.slice(2)).catch((error) => {
    console.error(error instanceof Fault ? error.message : error);
    process.exitCode = 1;
  });
}
