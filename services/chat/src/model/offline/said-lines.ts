/** What a sentence orders: how many of what, in the customer's words. */
import { plain, topicsOf, wordsOf } from './words.ts';

/** A line as it was said; which dish it means, the menu tells. */
export type SaidLine = {
  words: string;
  /** Any number: whether so many can be ordered is for others to say. Undefined when none was said. */
  quantity?: number;
  notes?: string;
};

const numbers: Record<string, number> = {
  a: 1,
  an: 1,
  one: 1,
  another: 1,
  two: 2,
  both: 2,
  couple: 2,
  three: 3,
  four: 4,
  five: 5,
  six: 6,
  seven: 7,
  eight: 8,
  nine: 9,
  ten: 10,
  eleven: 11,
  twelve: 12,
  dozen: 12,
  fifteen: 15,
  twenty: 20,
  thirty: 30,
  forty: 40,
  fifty: 50,
  hundred: 100,
  thousand: 1_000,
  ein: 1,
  eine: 1,
  einen: 1,
  einer: 1,
  noch: 1,
  zwei: 2,
  drei: 3,
  vier: 4,
  funf: 5,
  sechs: 6,
  sieben: 7,
  acht: 8,
  neun: 9,
  zehn: 10,
  zwolf: 12,
  zwanzig: 20,
  hundert: 100,
};
const numberWord = `(?:${Object.keys(numbers).join('|')})`;
const many = '(?:couple|dozen|hundred|thousand|hundert)';
/** A number in digits or words, as part of a pattern. */
export const numberPattern = String.raw`(?:-?\d+(?:[.,]\d+)*|(?:${numberWord} )?${many}|(?:another|noch) ${numberWord}|${numberWord})`;

const opening =
  /^(?:(?:yes|ok(?:ay)?|sure|hi|hello|hey|please|pls|and|also|then|ja|bitte|und|hallo)[\s,!.]+)*(?:i(?:'d| would) like(?: to (?:order|have|get|add))?|i(?:'ll| will) (?:have|take|order|get)|i want(?: to (?:order|have|add))?|(?:can|could|may) i (?:have|get|order|add)|(?:let's |please )?(?:order|add|get me|give me|bring me|get|take)|we(?:'d| would) like|ich (?:mochte|hatte gerne?|nehme|will|bestelle)|bestelle?|want to order)\b(?: me)?/;
const closing =
  /(?:[\s,]+(?:please|pls|bitte|thanks|thank you|bestellen|to (?:my|the) (?:order|basket|cart)|to it|for (?:me|us)|as well|too|today|now|instead|(?:(?:and|with|use|apply|und|mit) )*(?:the |my |dem )?(?:promo )?(?:code|coupon)\b.*))+[\s.!?]*$/;
const pronouns = new Set([
  'it',
  'that',
  'this',
  'them',
  'one',
  'ones',
  'those',
  'these',
  'das',
  'die',
  'davon',
]);
const noteAt = /\s+(?=(?:without|no|extra|with extra|hold the|ohne|mit extra)\s)/;

/** @param mentioned names of which the last answer spoke, for "I'll take it" */
export function linesIn(text: string, mentioned: readonly string[] = []): SaidLine[] {
  const bare = plain(text)
    .trim()
    .replace(/(?<=\d),(?=\d)/g, '.')
    .replace(opening, '')
    .replace(closing, '')
    .replace(/[.!?]+$/, '')
    .trim();
  const parts = bare
    .split(/\s*(?:,|;|\+|&|\b(?:and|plus|und|as well as|sowie)\b)\s*/)
    .filter((part) => part !== '');
  return parts.flatMap((part) => lineIn(part, mentioned));
}

function lineIn(part: string, mentioned: readonly string[]): SaidLine[] {
  const [dish = '', ...notes] = part.trim().split(noteAt);
  const { quantity, words } = countedIn(dish);
  const rest = {
    ...(quantity === undefined ? {} : { quantity }),
    ...(notes.length === 0 ? {} : { notes: notes.join(', ') }),
  };
  if (topicsOf(words).length === 0 || wordsOf(words).every((word) => pronouns.has(word))) {
    const [only, ...others] = mentioned;
    return only !== undefined && others.length === 0 ? [{ words: only, ...rest }] : [];
  }
  return [{ words, ...rest }];
}

const before = new RegExp(
  String.raw`^(${numberPattern})(?:\s*(?:x|times|mal|stuck)(?=\s|$)|(?=\s|$))\s*(?:more|of)?\s*(.*)$`,
);
const after = /^(.+?)\s+(?:x\s*(\d+)|(\d+)\s*(?:x|times|mal))$/;
const article =
  /^(?:(?:the|some|of|my|more|der|die|das|den)\s+|portions? of\s+|(?:glass(?:es)?|bottles?) of\s+)+/;

/** "2x lemonade" and "a dozen of the wings": the number, and the rest without it. */
export function countedIn(text: string): { quantity?: number; words: string } {
  const bare = text.trim();
  const [, number, left] = before.exec(bare) ?? [];
  if (number !== undefined) return { quantity: numberOf(number), words: (left ?? '').replace(article, '') };
  const [, words, times, timed] = after.exec(bare) ?? [];
  const quantity = times ?? timed;
  if (words !== undefined && quantity !== undefined)
    return { quantity: Number(quantity), words: words.replace(article, '') };
  return { words: bare.replace(article, '') };
}

function numberOf(text: string): number {
  // As a thousand is written, here or there.
  if (/^\d{1,3}(?:[.,]\d{3})+$/.test(text)) return Number(text.replace(/[.,]/g, ''));
  return text.split(' ').reduce((product, word) => product * (numbers[word] ?? Number(word)), 1);
}
