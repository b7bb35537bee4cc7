/** What a text shows of its writer: language, mood, intent and urgency. By rules and word lists alone. */

export type Mood = { label: 'positive' | 'neutral' | 'negative' | 'unknown'; score: number };

export const intents = [
  'order',
  'complaint',
  'promotion',
  'order_status',
  'question',
  'smalltalk',
  'other',
] as const;
export type Intent = (typeof intents)[number];
export type Urgency = 'low' | 'normal' | 'high';

/** ISO 639-1, or `und` when it cannot be told, as from a single word. */
export async function languageOf(text: string): Promise<string> {
  // A third of a second to load: paid by whoever first asks.
  const { eld } = await import('eld/extrasmall');
  const { language, isReliable } = eld.detect(text);
  return language !== '' && isReliable() ? language : 'und';
}

/** From -1 to 1. The word list is English: of another language nothing is said. */
export async function moodOf(text: string, language: string): Promise<Mood> {
  if (language !== 'en' && language !== 'und') return { label: 'unknown', score: 0 };
  const { default: vader } = await import('vader-sentiment');
  const { compound } = vader.SentimentIntensityAnalyzer.polarity_scores(text);
  const score = Math.round(compound * 1_000) / 1_000;
  return { score, label: score >= 0.05 ? 'positive' : score <= -0.05 ? 'negative' : 'neutral' };
}

// The first that fits: a complaint about an order is a complaint. English and German, the languages of the samples.
const intentPatterns: readonly [Intent, RegExp][] = [
  [
    'complaint',
    /\b(complain\w*|refund\w*|terrible|awful|disgusting|cold food|wrong (order|item|dish)|never (came|arrived)|missing|still waiting|waited|unacceptable|worst|beschwer\w*|reklam\w*|falsch\w*|kalt|fehlt|furchtbar|erstattung)\b/iu,
  ],
  [
    'order_status',
    /\b(where('s| is)? my (order|food|delivery)|status of (my|the) order|is my order|when will (it|my order)|wo (ist|bleibt) mein\w*|status (meiner|der) bestellung)\b/iu,
  ],
  [
    'promotion',
    /\b(promo\w*|coupon\w*|voucher\w*|discount\w*|deals?|special offers?|code|rabatt\w*|gutschein\w*|aktion\w*|angebot\w*)\b/iu,
  ],
  [
    'order',
    /\b(order|buy|i('| wi)?ll (take|have)|i('d| would) like (to order|a|an|one|two|three|\d+)|can i (get|have)|checkout|confirm|bestell\w*|ich (nehme|hätte gern\w*|möchte)|kaufen)\b/iu,
  ],
  [
    'smalltalk',
    /^\s*(hi|hello|hey|good (morning|evening|afternoon)|thanks?( you)?|thank you|bye|hallo|guten (tag|morgen|abend)|danke\w*|tschüss)\b[\s!.,]*$/iu,
  ],
  [
    'question',
    /\?|^\s*(who|what|when|where|why|how|which|do|does|is|are|can|could|have|wer|was|wann|wo|warum|wie|welche\w*|gibt|habt|ist|sind|kann)\b/iu,
  ],
];

/** What the writer wants, by the first pattern that fits. */
export function intentOf(text: string): Intent {
  return intentPatterns.find(([, pattern]) => pattern.test(text))?.[0] ?? 'other';
}

const urgentPattern =
  /\b(urgent\w*|asap|immediately|right now|right away|hurry|emergency|allergic reaction|sofort|dringend|eilig|schnell)\b/iu;
const idlePattern =
  /\b(no (rush|hurry)|whenever|some ?day|just (curious|wondering)|keine eile|irgendwann)\b/iu;

export function urgencyOf(text: string, mood: Mood, intent: Intent): Urgency {
  if (urgentPattern.test(text) && !idlePattern.test(text)) return 'high';
  const letters = text.replace(/[^\p{L}]/gu, '');
  const isShouted =
    letters.length >= 12 && letters === letters.toUpperCase() && letters !== letters.toLowerCase();
  if (isShouted || /!{2,}/.test(text) || (intent === 'complaint' && mood.score <= -0.5)) return 'high';
  return idlePattern.test(text) ? 'low' : 'normal';
}
