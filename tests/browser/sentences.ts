/** The sentences in the Rust sources that the page can come to show. */

import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';

/** A literal of the sources, with its holes as they are written, and where it stands. */
export interface Sentence {
  at: string;
  text: string;
}

const CRATES = ['core', 'engine', 'pipeline', 'web'];

/** Comments, characters, strings with and without escapes, brackets: what has to be told apart to find the strings. */
const TOKEN = /\/\/[^\n]*|\/\*[^]*?\*\/|b?r(#*)"[^]*?"\1|b?"(?:\\[^]|[^"\\])*"|'(?:\\[^']+|[^'\\])'|[A-Za-z_][A-Za-z0-9_]*!?|#\[[^\]]*\]|[^\s]/g;

/** What a literal means: escapes, and lines that go on. */
const meaning = (literal: string): string =>
  literal
    .slice(1, -1)
    .replace(/\\\r?\n\s*/g, '')
    .replace(/\\u\{([0-9a-fA-F]+)\}/g, (_, code: string) => String.fromCodePoint(Number.parseInt(code, 16)))
    .replace(/\\n/g, '\n')
    .replace(/\\(.)/g, '$1');

/** Calls whose words nobody reads but who works on the sources. */
const INTERNAL = /^(assert|assert_eq|assert_ne|debug_assert|debug_assert_eq|debug_assert_ne|unreachable|expect|panic|include_str|concat|log|trace|dbg|eprintln|println)!?$/;

/** What nobody sees on the page. */
const ELSEWHERE: readonly RegExp[] = [
  // What a code stands for is told in documents, and what hardware likes in the page's own words.
  /core\/src\/(error|graph\/ids|plan\/hardware)\.rs$/,
  // The text form of graphs, which only tests write.
  /core\/src\/text\.rs$/,
  // `lopper verify` alone.
  /pipeline\/src\/check\.rs$/,
  // Graphs in the text form.
  /pipeline\/src\/sample_model\.rs$/,
  /engine\/src\/train\/proof\.rs$/,
];
/** Where methods come from, as `lopper tune --help` lists them. */
const PAPERS = /^(network slimming|group lasso of|growing regularisation|soft filter pruning|the same with masked|gates with tick-tock|cut and train in turn)/;

/** Two words or more, of which one is written small: names, formats and lists of codes are none. */
const isSentence = (text: string): boolean => {
  const words = text.replace(/\{[^}]*\}/g, '').match(/[A-Za-z']{2,}/g) ?? [];
  return words.length > 1 && text.includes(' ') && /(^|\s)[a-z]{2,}/.test(text);
};

/** Names and numbers are put in later; a place in front is the same for every sentence. */
const withHoles = (text: string): string => text.replace(/\{[^{}]*\}/g, '{}').replace(/^\{\}: /, '').trim();

/** Reads a source until its tests begin. */
function sentencesOf(file: string): Sentence[] {
  // Of the table of advice the left side is what to look for.
  const read = readFileSync(file, 'utf8');
  const source = file.endsWith('core/src/channels/advice.rs') ? read.replace(/\("[^"\n]*", (?="[^"\n]*"\),\n)/g, '(') : read;
  const found: Sentence[] = [];
  const calls: string[] = [];
  let before = '';
  let skipTests = false;
  let depth = 0;
  for (const token of source.matchAll(TOKEN)) {
    const [word] = token;
    if (word.startsWith('//') || word.startsWith('/*')) continue;
    if (word.startsWith('#[')) {
      skipTests ||= /^#\[(cfg\(test\)|test\b)/.test(word);
      continue;
    }
    if (skipTests) {
      // An item marked as a test ends with its braces, or at a semicolon before them.
      if (word === '{') depth += 1;
      else if (word === '}' && --depth === 0) skipTests = false;
      else if (word === ';' && depth === 0) skipTests = false;
      continue;
    }
    if (word === '(' || word === '[' || word === '{') calls.push(before);
    else if (word === ')' || word === ']' || word === '}') calls.pop();
    else if (word.startsWith('"') && !calls.some((call) => INTERNAL.test(call))) {
      const text = withHoles(meaning(word));
      const line = source.slice(0, token.index).split('\n').length;
      if (isSentence(text) && !PAPERS.test(text)) found.push({ at: `${file}:${line}`, text });
    }
    if (word !== '!') before = word;
  }
  return found;
}

/** Every sentence of the crates that the page runs. */
export function sentences(root: string): Sentence[] {
  const shown = (file: string): boolean => file.endsWith('.rs') && !/(^|\/)tests(\/|\.rs$)/.test(file) && !ELSEWHERE.some((other) => other.test(file));
  return CRATES.flatMap((name) => {
    const folder = path.join(root, 'crate', name, 'src');
    return readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .map((file) => path.join(folder, file))
      .filter(shown)
      .sort()
      .flatMap(sentencesOf);
  });
}
