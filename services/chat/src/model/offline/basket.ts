/** The basket of a conversation: read anew each time from what the customer has said, so that nothing has to be kept. */
import { byRule, codeIn } from './intents.ts';
import { countedIn, linesIn, numberPattern, type SaidLine } from './said-lines.ts';
import { namesSaid, refusedIn, type Which, whichIn } from './wording.ts';
import { isAlike, plain, topicsOf } from './words.ts';

export type Line = SaidLine & { quantity: number };
/** What the newest message of the customer did to the basket. */
export type News =
  | { kind: 'none' }
  /** By other words than those of an order: "make it three", "remove one", "the root beer". */
  | { kind: 'changed' }
  /** More than can be ordered of one dish, or fewer than one. */
  | { kind: 'too_many' }
  /** Was to be changed, and is not there. */
  | { kind: 'missing'; words: string };
export type Basket = { lines: Line[]; promoCode?: string; news: News };
type Said = { role: 'user' | 'assistant'; text: string };

// As the orders service has it.
export const quantityMax = 1_000;

// What an assistant's message says once an order is there: the basket is empty again.
const isPlaced = /\border is placed\b|\border (?:was|has been) placed\b|bestellung (?:ist|wurde) aufgegeben/i;

/** @param said the whole conversation, the newest question included */
export function basketOf(said: readonly Said[]): Basket {
  let basket: Basket = { lines: [], news: { kind: 'none' } };
  let mentioned: string[] = [];
  let which: Which | undefined;
  let open: Line | undefined;
  for (const { role, text } of said) {
    if (role === 'assistant') {
      if (isPlaced.test(text)) basket = { lines: [], news: { kind: 'none' } };
      mentioned = namesSaid(text);
      which = whichIn(text);
      open = which && basket.lines.find(({ words }) => words === which?.words);
      // What cannot be had must not stand in the way of all that is ordered later.
      const refused = refusedIn(text);
      const isLeft = (line: Line) => line !== open && !refused.some((it) => means(line, it));
      basket = { ...basket, lines: basket.lines.filter(isLeft) };
      continue;
    }
    basket = { ...basket, ...after(basket.lines, text, { mentioned, which, open }) };
    which = undefined;
    const intent = byRule(text);
    const code =
      intent === 'promotion' || intent === 'order' || intent === 'confirm' ? codeIn(text) : undefined;
    if (code !== undefined) basket = { ...basket, promoCode: code };
  }
  return basket;
}

type Before = { mentioned: readonly string[]; which: Which | undefined; open: Line | undefined };
type After = Pick<Basket, 'lines' | 'news'>;

function after(lines: Line[], text: string, { mentioned, which, open }: Before): After {
  if (/\b(?:empty|clear) (?:my |the )?(?:basket|cart|order)\b|\bstart over\b/i.test(text))
    return { lines: [], news: { kind: 'changed' } };
  const removed = removedIn(text);
  if (removed !== undefined && lines.length > 0) {
    const rest = without(lines, removed, mentioned);
    // "Without nuts" is not said of the basket when none are in it.
    if (rest.news.kind !== 'missing' || /^\s*(?:please )?(?:remove|take|delete)/i.test(text)) return rest;
  }
  const set = setIn(text);
  if (set !== undefined && lines.length > 0) return changed(lines, set);
  const picked = which === undefined ? undefined : pickedIn(text, which);
  if (picked !== undefined) {
    const line = { ...open, ...picked, quantity: picked.quantity ?? open?.quantity ?? 1 };
    return added(lines, [line], { kind: 'changed' });
  }
  if (byRule(text) !== 'order') return { lines, news: { kind: 'none' } };
  return added(lines, linesIn(text, mentioned), { kind: 'none' });
}

function added(lines: readonly Line[], more: readonly SaidLine[], news: News): After {
  const result = [...lines];
  for (const line of more) {
    const at = result.findIndex((it) => keyOf(it) === keyOf(line));
    const quantity = (result[at]?.quantity ?? 0) + (line.quantity ?? 1);
    if (!isQuantity(line.quantity ?? 1) || !isQuantity(quantity))
      return { lines: [...lines], news: { kind: 'too_many' } };
    result.splice(at < 0 ? result.length : at, 1, { ...line, ...result[at], quantity });
  }
  return { lines: result, news };
}

const keyOf = ({ words, notes }: SaidLine) => `${topicsOf(words).join(' ')}/${notes ?? ''}`;

function isQuantity(quantity: number): boolean {
  return Number.isInteger(quantity) && quantity >= 1 && quantity <= quantityMax;
}

/** An answer to "Which beer do you mean?" names one of those that were shown. */
function pickedIn(text: string, { names }: Which): SaidLine | undefined {
  const [line, ...others] = linesIn(text);
  if (line === undefined || others.length > 0) return undefined;
  const topics = topicsOf(line.words);
  const meant = names.filter((name) => says(topicsOf(name), topics));
  const whole = meant.find((name) => says(topics, topicsOf(name)));
  const words = whole ?? (meant.length === 1 ? meant[0] : undefined);
  return words === undefined ? undefined : { ...line, words };
}

type Set = { from?: string; to: { quantity?: number; words: string } };

const setting =
  /^(?:(?:please|ok(?:ay)?|no|sorry|actually|and|then|bitte|nein|doch)[\s,]+)*(?:(?:make|change) (?:it|that|them|this)(?: to| into)? |(?:change|set) (?:the |my )?(.+?) (?:to|into) |mach(?:en sie)? (?:daraus|das) )(.+?)(?:[\s,]+(?:please|instead|bitte))*[.!]*$/;
const insteadOf = new RegExp(`^(${numberPattern} .+?),? instead(?: of .+)?[.!]*$`);

/** "Make it three", "make that 2 tiramisu", "change the margherita to a diavola". */
function setIn(text: string): Set | undefined {
  const bare = plain(text).trim();
  const [, from, to] = setting.exec(bare) ?? [];
  if (to !== undefined) return { ...(from === undefined ? {} : { from }), to: countedIn(to) };
  const instead = insteadOf.exec(bare)?.[1];
  return instead === undefined ? undefined : { to: countedIn(instead) };
}

function changed(lines: Line[], { from, to: { quantity, words } }: Set): After {
  const news: News = { kind: 'changed' };
  if (quantity !== undefined && !isQuantity(quantity)) return { lines, news: { kind: 'too_many' } };
  const named = from ?? words;
  const target = named === '' ? lines.at(-1) : theLine(lines, named);
  if (target === undefined) {
    // "Change the time to eight" speaks of something else.
    if (from !== undefined) return { lines, news: { kind: 'none' } };
    return added(lines, [{ words, ...(quantity === undefined ? {} : { quantity }) }], news);
  }
  const isOther = from !== undefined && words !== '';
  const line = { ...target, quantity: quantity ?? target.quantity, ...(isOther ? { words } : {}) };
  return { lines: lines.map((it) => (it === target ? line : it)), news };
}

const removing =
  /^(?:(?:please|ok(?:ay)?|no|and|bitte)[\s,]+)*(?:remove|take (?:out|off|away)|delete|drop|without|leave out|entfernen?(?: sie)?)\s+(.+?)(?:\s+(?:from|of my|out|please|bitte|again)\b.*)?[.!]*$/;

/** The words of what a text takes out of the basket, and how many of it; all of it when no number is said. */
function removedIn(text: string): { quantity?: number; words: string } | undefined {
  const found = removing.exec(plain(text).trim())?.[1];
  if (found === undefined) return undefined;
  const { quantity, words } = countedIn(found.replace(/^all (?:of )?(?:the |my )?/, ''));
  return { words, ...(quantity === undefined || /^both\b/.test(found) ? {} : { quantity }) };
}

const everything = new Set(['everything', 'all', 'alles', 'basket', 'cart', 'order']);
const last = new Set(['', 'it', 'that', 'this', 'them', 'one', 'das', 'es']);

function without(
  lines: Line[],
  { words, quantity }: { words: string; quantity?: number },
  mentioned: readonly string[],
): After {
  const news: News = { kind: 'changed' };
  if (everything.has(words)) return { lines: [], news };
  if (quantity !== undefined && !isQuantity(quantity)) return { lines, news: { kind: 'too_many' } };
  const [only, ...others] = mentioned;
  const spokenOf = only !== undefined && others.length === 0 ? theLine(lines, only) : undefined;
  const target = last.has(words) ? (spokenOf ?? lines.at(-1)) : theLine(lines, words);
  const [first = '', ...more] = words.split(/\s*(?:,|\b(?:and|und)\b)\s*/);
  if (more.length > 0 && !lines.some((line) => keyOf(line) === keyOf({ words }))) {
    const start = without(lines, { words: first, ...(quantity === undefined ? {} : { quantity }) }, []);
    return more.reduce((so, part) => without(so.lines, countedIn(part), []), start);
  }
  if (target === undefined) return { lines, news: { kind: 'missing', words } };
  const left = target.quantity - (quantity ?? target.quantity);
  const changed = lines.flatMap((it) => (it !== target ? [it] : left > 0 ? [{ ...it, quantity: left }] : []));
  return { lines: changed, news };
}

/** The line that words mean: best the same words, else those within it, or around it; the newest of several. */
function theLine(lines: readonly Line[], words: string): Line | undefined {
  const topics = topicsOf(words);
  if (topics.length === 0) return undefined;
  const within = (line: Line) => says(topicsOf(line.words), topics);
  const around = (line: Line) => says(topics, topicsOf(line.words));
  return (
    lines.findLast((line) => within(line) && around(line)) ?? lines.findLast(within) ?? lines.findLast(around)
  );
}

function means({ words }: SaidLine, refused: string): boolean {
  return plain(words) === plain(refused) || says(topicsOf(refused), topicsOf(words));
}

/** Whether each of some words is among others. */
function says(topics: readonly string[], others: readonly string[]): boolean {
  return others.length > 0 && others.every((other) => topics.some((topic) => isAlike(topic, other)));
}
