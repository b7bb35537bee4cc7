/** The basket of a conversation: read anew each time from what the customer has said, so that nothing has to be kept. */
import { byRule, codeIn } from './intents.ts';
import { namesSaid } from './wording.ts';
import { plain, topicsOf, wordsOf } from './words.ts';

/** A line as it was said; which dish it means, the menu tells. */
export type SaidLine = { words: string; quantity: number; notes?: string };
export type Basket = { lines: SaidLine[]; promoCode?: string };
type Said = { role: 'user' | 'assistant'; text: string };

// What an assistant's message says once an order is there: the basket is empty again.
const isPlaced = /\border is placed\b|\border (?:was|has been) placed\b|bestellung (?:ist|wurde) aufgegeben/i;

/** @param said the whole conversation, the newest question included */
export function basketOf(said: readonly Said[]): Basket {
  let basket: Basket = { lines: [] };
  let mentioned: string[] = [];
  for (const { role, text } of said) {
    if (role === 'assistant') {
      if (isPlaced.test(text)) basket = { lines: [] };
      mentioned = namesSaid(text);
      continue;
    }
    const removed = removedIn(text);
    const intent = byRule(text);
    if (/\b(?:empty|clear) (?:my |the )?(?:basket|cart|order)\b|\bstart over\b/i.test(text))
      basket = { lines: [] };
    else if (removed !== undefined) basket = { ...basket, lines: without(basket.lines, removed) };
    else if (intent === 'order')
      basket = { ...basket, lines: [...basket.lines, ...linesIn(text, mentioned)] };
    const code =
      intent === 'promotion' || intent === 'order' || intent === 'confirm' ? codeIn(text) : undefined;
    if (code !== undefined) basket = { ...basket, promoCode: code };
  }
  return { ...basket, lines: merged(basket.lines) };
}

const counts: Record<string, number> = {
  a: 1,
  an: 1,
  one: 1,
  two: 2,
  three: 3,
  four: 4,
  five: 5,
  six: 6,
  seven: 7,
  eight: 8,
  nine: 9,
  ten: 10,
  dozen: 12,
  couple: 2,
  eine: 1,
  einen: 1,
  ein: 1,
  zwei: 2,
  drei: 3,
  vier: 4,
  funf: 5,
  sechs: 6,
  another: 1,
  the: 1,
  some: 1,
};
const opening =
  /^(?:(?:yes|ok(?:ay)?|sure|hi|hello|hey|please|pls|and|also|then|ja|bitte|und|hallo)[\s,!.]+)*(?:i(?:'d| would) like(?: to (?:order|have|get|add))?|i(?:'ll| will) (?:have|take|order|get)|i want(?: to (?:order|have|add))?|(?:can|could|may) i (?:have|get|order|add)|(?:let's |please )?(?:order|add|get me|give me|bring me|get|take)|we(?:'d| would) like|ich (?:mochte|hatte gerne?|nehme|will|bestelle)|bestelle?|want to order)\b(?: me)?/;
const closing =
  /(?:[\s,]+(?:please|pls|bitte|thanks|thank you|bestellen|to (?:my|the) (?:order|basket|cart)|to it|for (?:me|us)|as well|too|today|now|with (?:the )?(?:code|coupon)\b.*|(?:and )?(?:use|apply) (?:the )?(?:code|coupon)\b.*|(?:and|with) code\b.*))+[\s.!?]*$/;
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
  const match = /^(?:(\d{1,3})\s*(?:x|times|mal|stuck)?|(\p{L}+))\s+(?:of\s+|more\s+|x\s+)?(.+)$/u.exec(dish);
  const counted = match?.[1] ? Number(match[1]) : counts[match?.[2] ?? ''];
  const words = (counted === undefined ? dish : (match?.[3] ?? dish)).replace(
    /^(?:the|a|an|of|portions? of|glass(?:es)? of)\s+/,
    '',
  );
  const quantity = Math.max(1, Math.min(counted ?? 1, 1_000));
  const note = notes.join(', ');
  const rest = note === '' ? {} : { notes: note };
  const topics = topicsOf(words);
  if (topics.length === 0 || wordsOf(words).every((word) => pronouns.has(word))) {
    const [only, ...others] = mentioned;
    return only !== undefined && others.length === 0 ? [{ words: only, quantity, ...rest }] : [];
  }
  return [{ words, quantity, ...rest }];
}

/** The words of what a text takes out of the basket. */
export function removedIn(text: string): string | undefined {
  const found =
    /^(?:please |ok,? |no,? )*(?:remove|take out|take off|delete|drop|without|leave out|entferne)\s+(?:the |one |a )?(.+?)(?:\s+(?:from|of|out|please|bitte|again)\b.*)?[.!]*$/.exec(
      plain(text).trim(),
    );
  return found?.[1];
}

function without(lines: readonly SaidLine[], removed: string): SaidLine[] {
  const topics = topicsOf(removed);
  return lines.filter(({ words }) => !topicsOf(words).some((topic) => topics.includes(topic)));
}

function merged(lines: readonly SaidLine[]): SaidLine[] {
  const byWords = new Map<string, SaidLine>();
  for (const line of lines) {
    const key = `${topicsOf(line.words).join(' ')}/${line.notes ?? ''}`;
    const known = byWords.get(key);
    byWords.set(key, known ? { ...known, quantity: known.quantity + line.quantity } : line);
  }
  return [...byWords.values()];
}
