/**
 * The words that q= finds. Not Postgres' own parser: it cuts a UUID in pieces and takes some for numbers, so that nobody
 * finds the id that he pasted. Both sides are cut by the same rule: runs of letters and digits, and whole runs that
 * . _ : @ - hold together (ids, class names, addresses).
 */

const wordsMax = 300;
const wordLengthMax = 64;
const textMax = 16_384;
const prefixFrom = 4;
const termsMax = 10;

const whole = /[\p{L}\p{N}](?:[\p{L}\p{N}._:@-]*[\p{L}\p{N}])?/gu;
const part = /[\p{L}\p{N}]+/gu;
const uuidShape = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Words of the texts, at most 300, each once. */
export function wordsOf(texts: Iterable<string>): string[] {
  const words = new Set<string>();
  let left = textMax;
  for (const text of texts) {
    const bounded = text.slice(0, left).toLowerCase();
    left -= bounded.length;
    for (const [run] of bounded.matchAll(whole)) {
      words.add(cut(run));
      // With one part the run is its own part. Nobody looks for the middle of a UUID, and a letter may have dozens.
      if (!uuidShape.test(run)) for (const [piece] of run.matchAll(part)) words.add(cut(piece));
      if (words.size >= wordsMax) return [...words].slice(0, wordsMax);
    }
    if (left <= 0) break;
  }
  return [...words];
}

// A cut may fall into a surrogate pair, of which JSON and Postgres take no half.
const cut = (run: string): string => run.slice(0, wordLengthMax).toWellFormed();

/** What somebody looks for, as Postgres' tsquery: all of the words, from four letters on also longer ones; undefined without any. */
export function wordQuery(q: string): string | undefined {
  const runs = [...q.toLowerCase().matchAll(whole)].map(([run]) => cut(run));
  const terms = [...new Set(runs)].slice(0, termsMax);
  if (terms.length === 0) return undefined;
  // Quoted; the rule above leaves neither quotes nor backslashes in a word.
  return terms.map((term) => (term.length < prefixFrom ? `'${term}'` : `'${term}':*`)).join(' & ');
}

/** Texts and numbers inside a decoded value, in its order. */
export function* textsIn(value: unknown, depth = 0): Generator<string> {
  if (typeof value === 'string') yield value;
  else if (typeof value === 'number') yield String(value);
  else if (typeof value === 'object' && value !== null && !Buffer.isBuffer(value) && depth < 20) {
    for (const item of Object.values(value)) yield* textsIn(item, depth + 1);
  }
}
