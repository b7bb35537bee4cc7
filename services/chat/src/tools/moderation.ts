/** Words that nobody should have to read. English; disguises such as f*u*c*k included. */
import {
  englishDataset,
  englishRecommendedTransformers,
  type RegExpMatcher as Matcher,
  RegExpMatcher,
} from 'obscenity';

let matcher: Matcher | undefined;

/** How many such words there are, and which, in the dataset's spelling. */
export function obscenitiesIn(text: string): { count: number; words: string[] } {
  matcher ??= new RegExpMatcher({ ...englishDataset.build(), ...englishRecommendedTransformers });
  const matches = matcher.getAllMatches(text.slice(0, 16_384));
  const words = matches.map((match) => {
    const { phraseMetadata } = englishDataset.getPayloadWithPhraseMetadata(match);
    return phraseMetadata?.originalWord ?? 'other';
  });
  return { count: matches.length, words: [...new Set(words)].sort() };
}
