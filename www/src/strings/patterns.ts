/**
 * The engine speaks English, in sentences of a fixed form with names and numbers put in. A table gives each of them in another language:
 *
 *     'the file has {} bytes; at most {} are read': '文件有 {} 字节，而最多读取 {} 字节',
 *
 * The left side is the literal of the Rust source with `{}` for every hole, whatever its name or format, and without a `{}: ` in front, which is
 * the place that any sentence may have. The right side takes the holes in their order, or by number (`{2}`) where the order is another. What
 * stands in a hole is translated, too, if it has a line of its own. A new sentence of the sources without a line fails `language.spec.ts`.
 */
export type Patterns = Readonly<Record<string, string>>;

interface Pattern {
  pieces: readonly string[];
  /** Letters that are no hole. */
  letters: number;
  said: string;
}

interface Found {
  said: string;
  /** How many letters of the sentence a table knew. */
  known: number;
}

/** How deep sentences stand in sentences: a failure of a failure at a node is three. */
const DEPTH = 5;
/** How many colons are tried as the end of a place: names come from the file, which may be hostile. */
const PLACES = 4;
/** Sentences that are remembered: a long list of reasons says few different ones. */
const MEMORY = 500;

/** What stands in the holes, each as short as possible. */
function holes({ pieces }: Pattern, sentence: string): string[] | undefined {
  const [first = '', ...rest] = pieces;
  const last = rest.pop() ?? '';
  const end = sentence.length - last.length;
  if (!sentence.startsWith(first) || !sentence.endsWith(last) || end < first.length) return undefined;
  const found: string[] = [];
  let at = first.length;
  for (const piece of rest) {
    const next = sentence.indexOf(piece, at);
    if (next < 0 || next + piece.length > end) return undefined;
    found.push(sentence.slice(at, next));
    at = next + piece.length;
  }
  return [...found, sentence.slice(at, end)];
}

/** Puts the holes in. */
function filled(said: string, holes: readonly string[]): string {
  let next = 0;
  return said.replace(/\{(\d?)\}/g, (_, number: string) => holes[number ? Number(number) - 1 : next++] ?? '');
}

/** Says sentences as the tables have them, and those that they do not know as they are. `colon` follows a place. */
export function translator(tables: readonly Patterns[], colon: string): (sentence: string) => string {
  const plain = new Map<string, string>();
  const patterns: Pattern[] = [];
  for (const [english, said] of tables.flatMap((table) => Object.entries(table))) {
    const pieces = english.split('{}');
    if (pieces.length === 1) plain.set(english, said);
    else patterns.push({ pieces, said, letters: pieces.reduce((sum, piece) => sum + piece.length, 0) });
  }

  /** Of all readings the one that leaves the fewest letters unknown. */
  const read = (sentence: string, depth: number): Found => {
    const whole = plain.get(sentence);
    if (whole !== undefined) return { said: whole, known: sentence.length };
    let best: Found = { said: sentence, known: 0 };
    if (depth === 0 || !sentence.includes(' ')) return best;
    for (const pattern of patterns) {
      const found = holes(pattern, sentence)?.map((hole) => read(hole, depth - 1));
      const known = found?.reduce((sum, hole) => sum + hole.known, pattern.letters) ?? 0;
      if (found && known > best.known) best = { said: filled(pattern.said, found.map((hole) => hole.said)), known };
    }
    for (let at = sentence.indexOf(': '), nth = 0; at >= 0 && nth < PLACES; at = sentence.indexOf(': ', at + 1), nth += 1) {
      const rest = read(sentence.slice(at + 2), depth - 1);
      if (rest.known === 0) continue;
      const place = read(sentence.slice(0, at), depth - 1);
      const known = place.known + rest.known;
      if (known > best.known) best = { said: place.said + colon + rest.said, known };
    }
    return best;
  };

  const remembered = new Map<string, string>();
  return (sentence) => {
    let said = remembered.get(sentence);
    if (said === undefined) {
      if (remembered.size >= MEMORY) remembered.clear();
      said = read(sentence, DEPTH).said;
      remembered.set(sentence, said);
    }
    return said;
  };
}
