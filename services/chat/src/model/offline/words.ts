/** Words of a text as they are compared: without accents, case and endings, and with a typing mistake forgiven. */

// They carry no meaning by themselves, in questions and in the names of dishes.
const empty = new Set(
  (
    'a an the and or of on in at to for from with by is are was be been do does did have has had can could will would ' +
    'i me my we us our you your it its they them their this that these those there here what which who how when where ' +
    'why much many any some so as if not no please just only also about into than then ' +
    'al alla alle allo ai con di del della e il la le lo ' +
    'der die das ein eine einen einer und oder mit von vom zu zum zur im am auf ist sind war habt haben hat gibt es ' +
    'ich mir mich wir uns ihr euer eure was wie wann wo warum welche welcher welches wieviel viel viele bitte auch noch'
  ).split(' '),
);

export function plain(text: string): string {
  return text
    .normalize('NFD')
    .replace(/\p{M}/gu, '')
    .replace(/[’‘`´]/g, "'")
    .replace(/ß/g, 'ss')
    .toLowerCase();
}

/** Words and numbers in their order, plain. */
export function wordsOf(text: string): string[] {
  return plain(text).match(/\p{L}+(?:'\p{L}+)?|\p{N}+(?:[.,]\p{N}+)*/gu) ?? [];
}

/** The words that say what a text is about, as stems. */
export function topicsOf(text: string): string[] {
  return wordsOf(text)
    .filter((word) => word.length > 1 && !empty.has(word))
    .map(stem);
}

/** The word without an ending; the same for one and for many, not always a word. */
export function stem(word: string): string {
  const bare = word.replace(/'.*$/, '');
  if (bare.length > 4 && bare.endsWith('ies')) return `${bare.slice(0, -3)}y`;
  if (bare.length > 4 && /(?:ss|sh|ch|x)es$/.test(bare)) return bare.slice(0, -2);
  if (bare.length > 3 && bare.endsWith('s') && !/(?:ss|us|is)$/.test(bare)) return bare.slice(0, -1);
  if (bare.length > 6 && bare.endsWith('ing')) return bare.slice(0, -3);
  if (bare.length > 5 && bare.endsWith('ed')) return bare.slice(0, -2);
  return bare;
}

/** Whether two stems mean the same word, one of them perhaps mistyped. */
export function isAlike(a: string, b: string): boolean {
  if (a === b) return true;
  const length = Math.min(a.length, b.length);
  if (length < 4 || a[0] !== b[0]) return false;
  const allowed = length >= 8 ? 2 : 1;
  return Math.abs(a.length - b.length) <= allowed && distance(a, b) <= allowed;
}

/** How many letters must be changed, added, left out or swapped with their neighbour. */
export function distance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const next = [row];
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1] ? 0 : 1;
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      next[column] = Math.min(
        (last[column] ?? 0) + 1,
        (next[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + same,
        swapped ? (beforeLast[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
      );
    }
    beforeLast = last;
    last = next;
  }
  return last[b.length] ?? 0;
}

/** Which part of a name's letters a text says, from 0 to 1. */
export function namedIn(name: string, topics: readonly string[]): number {
  const parts = topicsOf(name);
  const all = parts.reduce((sum, part) => sum + part.length, 0);
  const said = parts.filter((part) => topics.some((topic) => isAlike(part, topic)));
  return all === 0 ? 0 : said.reduce((sum, part) => sum + part.length, 0) / all;
}
