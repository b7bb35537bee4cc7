/** What a filter compares, spelled one way: by the index, which stores it, and by whoever asks for it. */

const oneWord: Record<string, string> = { 'gluten free': 'glutenfree' };

// Whoever must not eat one of these is better off without all of them.
const alike = [
  ['nut', 'nuts', 'tree nut', 'tree nuts', 'treenuts'],
  ['peanut', 'peanuts', 'nuts'],
  ['egg', 'eggs'],
  ['milk', 'dairy', 'lactose'],
  ['gluten', 'wheat'],
  ['shellfish', 'crustacean', 'crustaceans', 'mollusc', 'molluscs'],
  ['seafood', 'fish', 'crustaceans', 'molluscs'],
  ['soy', 'soya', 'soybeans'],
  ['sulphites', 'sulfites'],
];

/** What a dish may declare that has this allergen in it, by whatever name it is asked for. */
export function namesOfAllergen(word: string): string[] {
  const name = spelled(word);
  return [...new Set([name, ...alike.filter((names) => names.includes(name)).flat()])];
}

/** A tag or an allergen: in lower case, its parts apart by a space, however they were joined. */
export function spelled(word: string): string {
  const plain = word
    .normalize('NFC')
    .toLowerCase()
    .replace(/[\s_\-‐‑]+/g, ' ')
    .trim();
  return oneWord[plain] ?? plain;
}
