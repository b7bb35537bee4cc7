/** What a question is after: by rules where the words are plain, by its nearest neighbours among examples otherwise. */
import type { Embedder } from '../../embedding/embedder.ts';
import { type Intent, phrases } from './phrases.ts';
import { numberPattern } from './said-lines.ts';
import { allergensIn, hasWishes, wishesOf } from './wishes.ts';
import { plain, wordsOf } from './words.ts';

export type Guess = { intent: Intent; likeness: number };

export type Intents = {
  /** Reads the examples ahead of the first question; what fails is tried again with that. */
  warm(): void;
  /** Throws what the embedder throws. */
  intentOf(question: string, signal: AbortSignal): Promise<Guess>;
};

// How many neighbours have a say, each as much as it is near.
const neighbours = 3;

export function createIntents(embedder: Pick<Embedder, 'embed'>): Intents {
  const examples = Object.entries(phrases).flatMap(([intent, texts]) =>
    texts.map((text) => ({ intent: intent as Intent, text })),
  );
  let vectors: Promise<Float32Array[]> | undefined;
  // Once for the life of the process; after a failure the next question tries again.
  const known = () => {
    vectors ??= embedder.embed(examples.map(({ text }) => text)).catch((error: unknown) => {
      vectors = undefined;
      throw error;
    });
    return vectors;
  };

  return {
    warm() {
      known().catch(() => {});
    },

    async intentOf(question, signal) {
      const ruled = byRule(question);
      if (ruled !== undefined) return { intent: ruled, likeness: 1 };
      const [vector] = await embedder.embed([question.slice(0, 400)], signal);
      const all = await known();
      if (vector === undefined) return { intent: 'house', likeness: 0 };
      const near = examples
        .map(({ intent }, index) => ({ intent, likeness: cosine(vector, all[index] ?? vector) }))
        .sort((a, b) => b.likeness - a.likeness)
        .slice(0, neighbours);
      return strongest(near);
    },
  };
}

function strongest(near: readonly Guess[]): Guess {
  const votes = new Map<Intent, number>();
  for (const { intent, likeness } of near) votes.set(intent, (votes.get(intent) ?? 0) + likeness ** 2);
  const [best] = [...votes].sort((a, b) => b[1] - a[1]);
  const intent = best?.[0] ?? 'house';
  return {
    intent,
    likeness: Math.max(0, ...near.filter((it) => it.intent === intent).map((it) => it.likeness)),
  };
}

/** Of vectors of length 1. */
export function cosine(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += (a[at] ?? 0) * (b[at] ?? 0);
  return sum;
}

const code = /\b(?:promo(?:tion)?|discount|coupon|voucher|gutschein|rabatt)?[- ]?code\b/;

/** Only what leaves no doubt. */
export function byRule(question: string): Intent | undefined {
  const text = plain(question).trim();
  const count = wordsOf(text).length;
  const isCoded =
    codeIn(question) !== undefined &&
    (code.test(text) || /\b(?:use|apply|redeem|with|einlosen|nutze)\b/.test(text));
  if (isCoded) return startsAnOrder(text) ? 'order' : 'promotion';
  if (
    /^(?:hi|hello|hey|hallo|good (?:morning|afternoon|evening)|guten (?:tag|morgen|abend)|moin|servus)\b/.test(
      text,
    ) &&
    count <= 3
  )
    return 'greeting';
  if (/^(?:thanks|thank you|thx|danke|cheers|many thanks)\b/.test(text) && count <= 6) return 'thanks';
  if (/^(?:bye|goodbye|see you|tschuss|auf wiedersehen)\b/.test(text) && count <= 4) return 'bye';
  if (
    isYes(text, count) ||
    /^(?:please )?(?:confirm|place|submit|check ?out)\b(?: (?:it|this|that|now|please|my order|the order))*[.!]*$/.test(
      text,
    )
  )
    return 'confirm';
  if (/\bsummar|\bsum up|\bzusammenfass|fass .* zusammen/.test(text))
    return /\b(?:conversation|chat|we (?:talked|said|discussed)|unterhaltung|gesprach|so far)\b/.test(text)
      ? 'conversation_summary'
      : 'document_summary';
  if (/\b(?:analy[sz]e|sentiment|analysier)/.test(text)) return 'analysis';
  if (
    /\b(?:in my (?:basket|cart)|my (?:basket|cart)\b|im warenkorb)/.test(text) &&
    !/\b(?:add|put|remove)\b/.test(text)
  )
    return 'basket';
  if (
    /\bwhere(?:'s| is) my (?:order|food|pizza|delivery)|\bstatus of my order|\border status|wo (?:ist|bleibt) mein/.test(
      text,
    )
  )
    return 'status';
  if (/\ballerg.*\bcan i (?:eat|have|order) (?:the|your)\b/.test(text)) return 'dish';
  if (/\btraces?\b|\bcross.?contamin/.test(text)) return 'house';
  if (inside.test(text) && allergensIn(question).length > 0) return 'dish';
  const wishes = wishesOf(question);
  if (wishes.sort !== undefined && wishes.category !== undefined) return 'menu';
  if (edible.test(text) && hasWishes(wishes)) return 'menu';
  if (/\b(?:available|sold out|in stock|still have|ausverkauft|verfugbar)\b/.test(text)) return 'dish';
  if (isOrder(text)) return 'order';
  if (promoting.test(text) && !/\b(?:student|senior|birthday)/.test(text)) return 'promotion';
  if (listing.test(text) && hasWishes(wishesOf(question))) return 'menu';
  if (germanDish.test(text)) return 'dish';
  return germanMenu.test(text) && hasWishes(wishesOf(question)) ? 'menu' : undefined;
}

function isYes(text: string, count: number): boolean {
  return (
    count <= 8 &&
    /^(?:yes|yep|yeah|ok(?:ay)?|sure|ja|jawohl)\b/.test(text) &&
    /\b(?:place|order|confirm|do it|go ahead|bestell\w*|please|bitte|it)\b|^\w+[.!]*$/.test(text)
  );
}

/** A wish for something, with or without a code at its end. */
function startsAnOrder(text: string): boolean {
  if (isCounted(text)) return true;
  return /^(?:please |ok,? )*(?:i(?:'d| would) like|i want|i(?:'ll| will) (?:have|take|order)|order|add|ich (?:mochte|hatte|nehme)|can i (?:have|get|order)) (?!(?:to )?(?:use|apply|redeem)\b)/.test(
    text,
  );
}

// "Is there egg in the tagliatelle?"
const inside = /\b(?:is|are) there\b.*\bin (?:the|your|this|that)\b/;

const edible = /\bcan i (?:eat|have|order)\s*[?.!]*$|\bwas (?:kann|darf) ich (?:essen|nehmen|bestellen)\b/;

// Asks which promotions there are.
const promoting =
  /^(?:which|what|are there|is there|do you have|have you got|any|show|list|tell me|welche|gibt es|habt ihr|haben sie)\b.*\b(?:promotions?|promos?|discounts?|special offers?|deals?|aktionen|aktion|rabatte?|sonderangebote?)\b/;

// Asks for more than one dish.
const listing =
  /^(?:(?:which|what) .*\b(?:do you|have you|are there|can i)\b|(?:show|list|any|do you have|have you got|(?:are|is) there (?:any|some)(?:thing)?)\b)/;

// German, which the local model does not read: by its own words.
const germanMenu = /^(?:haben sie|habt ihr|gibt es|welche[rsnm]?|was (?:habt|haben|gibt)|ich suche)\b/;
const germanDish = /^(?:was|wie ?viel) (?:kostet|kosten)\b|^(?:ist|sind|enthalt) (?:der|die|das|in)\b/;

/** An order says what to do, and does not ask how one orders. */
function isOrder(text: string): boolean {
  if (
    /\b(?:how|when|where|why|can i cancel|cancel|storn\w*|minimum|something|anything|(?:the|your) (?:best|cheapest|most|favou?rites?))\b/.test(
      text,
    )
  )
    return false;
  return (
    /^(?:please |pls |ok,? |and |also )*(?:order|i(?:'ll| will) (?:have|take|order)|add|get me|give me|bring me|bestelle?)\b(?! (?:status|number|history))/.test(
      text,
    ) ||
    /\bi(?:'d| would) like to order\b|\b(?:want|like) to order\b|\bto my (?:order|basket|cart)\b|\b(?:mochte|will|wurde gern\w*) .*\bbestellen\b/.test(
      text,
    ) ||
    wanting.test(text) ||
    isCounted(text) ||
    isAskedFor(text)
  );
}

/** "A Margherita please": nothing but what it is, and a please. */
function isAskedFor(text: string): boolean {
  return asked.test(text) && !told.test(text) && wordsOf(text).length <= 8;
}

// A table, a moment, the bill: none of it is on a menu.
const asked =
  /^(?:a|an|ein|einen?|another|noch ein\w*) (?!(?:table|seat|moment|minute|second|question|menu|bill|receipt|invoice|refund|reservation|voucher|summary|discount|code|human|tisch|platz|frage|rechnung|karte|gutschein|menschen)\b)[^?]*\b(?:please|pls|bitte)[.!]*$/;

/** "Two Margherita and a cola": with nothing said but what it is. */
function isCounted(text: string): boolean {
  if (told.test(text)) return false;
  return (counted.test(text) || /^-?\d+ ?x? \p{L}/u.test(text)) && wordsOf(text).length <= 40;
}

// Counts something else, or tells what has happened: "two pizzas were missing".
const told =
  /\?|\b(?:people|persons?|guests?|tables?|questions?|personen|tische?|frage|hours?|days?|weeks?|minutes?|is|are|was|were|arrived|came|missing|wrong|cold|late|ago|ist|sind|war|waren|fehlt|fehlen)\b/;
const counted =
  /^(?:please |ok,? )*(?:one|two|three|four|five|six|seven|eight|nine|ten|zwei|drei|vier|funf|sechs) (?!of\b|thing|more thing)\p{L}{3}/u;

const wanting = new RegExp(
  String.raw`^(?:i(?:'d| would) like|i want|can i (?:have|get)|could i (?:have|get)|ich (?:hatte gerne?|nehme|mochte)) (?:${numberPattern}|the|some)(?=\s)(?!.*\b(?:information|info|table|refund|menu|list|receipt|invoice|tisch|question)\b)`,
);

// Codes are written in capitals, or right after the word.
const shouted = /\b(?=[A-Z0-9._-]*[A-Z])(?=[A-Z0-9._-]*\d|[A-Z._-]{5,})[A-Z0-9][A-Z0-9._-]{3,39}\b/;
const spelled = /\b(?:code|coupon|voucher|gutschein)\s*:?\s*["'„“]?([\p{L}\p{N}][\p{L}\p{N}._-]{2,39})/iu;
const notCodes = new Set([
  'please',
  'for',
  'that',
  'which',
  'today',
  'bitte',
  'now',
  'and',
  'available',
  'work',
  'works',
  'can',
  'you',
  'have',
  'does',
  'the',
  'der',
  'die',
  'is',
  'are',
]);

/** The promotion code that a text names. */
export function codeIn(text: string): string | undefined {
  // A text all in capitals shouts no code in particular.
  const loud = /\p{Ll}/u.test(text) || !text.includes(' ') ? shouted.exec(text)?.[0] : undefined;
  if (loud !== undefined) return loud;
  const after = spelled.exec(text)?.[1];
  return after === undefined || notCodes.has(after.toLowerCase()) ? undefined : after;
}
