/** Words that nobody should have to read. English; disguises such as f*u*c*k included. */
import {
  englishDataset,
  englishRecommendedTransformers,
  type RegExpMatcher as Matcher,
  RegExpMatcher,
} from 'obscenity';

/** Innocent words that hold another one; the dataset knows most of them, and too few of the kitchen's. */
const innocent = [
  'cumin',
  'cucumber',
  'assortment',
  'assorted',
  'scunthorpe',
  'dickens',
  'cocktail',
  'shiitake',
  'shitake',
];

let matcher: Matcher | undefined;

/** How many different words of that kind there are, and which, in the dataset's spelling. */
export function obscenitiesIn(text: string): { count: number; words: string[] } {
  matcher ??= createMatcher();
  const matches = matcher.getAllMatches(text.slice(0, 16_384));
  const words = matches.map((match) => {
    const { phraseMetadata } = englishDataset.getPayloadWithPhraseMetadata(match);
    return phraseMetadata?.originalWord ?? 'other';
  });
  // The dataset has several patterns for some words.
  const distinct = [...new Set(words)].sort();
  return { count: distinct.length, words: distinct };
}

function createMatcher(): Matcher {
  const { blacklistedTerms, whitelistedTerms = [] } = englishDataset.build();
  return new RegExpMatcher({
    blacklistedTerms,
    whitelistedTerms: [...whitelistedTerms, ...innocent],
    ...englishRecommendedTransformers,
  });
}
