/** What a filter compares, spelled one way: by the index, which stores it, and by whoever asks for it. */

const oneWord: Record<string, string> = { 'gluten free': 'glutenfree' };

/** A tag or an allergen: in lower case, its parts apart by a space, however they were joined. */
export function spelled(word: string): string {
  const plain = word
    .normalize('NFC')
    .toLowerCase()
    .replace(/[\s_\-‐‑]+/g, ' ')
    .trim();
  return oneWord[plain] ?? plain;
}
