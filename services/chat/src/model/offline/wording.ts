/** How answers are put, in the two languages that the offline responder speaks. */
import type { Dish } from './dishes.ts';

export type Language = 'en' | 'de';

const german = new Set(
  (
    'der die das ein eine einen ist sind habt haben hat gibt ich mir mich wir ihr euer was wie wann wo warum welche welcher welches ' +
    'wieviel viel bitte und oder nicht kein keine ohne mit für fur kostet kosten möchte mochte hätte hatte gern gerne bestellen ' +
    'sie ihnen ihre vegane veganes vegetarische unter gerichte liefert parken zahlen nehme zwei drei könnt kann könnte offen geöffnet öffnungszeiten danke hallo zum vom auf etwas noch auch euch'
  ).split(' '),
);

// Some of the German ones are English too: "Who was Napoleon?"
const english = new Set(
  'the is are who how what when where which of a an i you do does and to in for my your'.split(' '),
);

/** German when at least a third of the words are its most common ones, and more than are English. */
export function languageOf(text: string): Language {
  const words = text.toLowerCase().match(/\p{L}+/gu) ?? [];
  const known = words.filter((word) => german.has(word)).length;
  const other = words.filter((word) => english.has(word)).length;
  return known > other && known * 3 >= words.length ? 'de' : 'en';
}

/** Minor units as a reader of that language sees them. */
export function money(amount: number, currency: string | null, language: Language): string {
  const code = currency ?? 'EUR';
  if (code !== 'EUR') {
    return new Intl.NumberFormat(language === 'de' ? 'de-DE' : 'en-GB', {
      style: 'currency',
      currency: code,
    }).format(amount / 10 ** digitsOf(code));
  }
  const number = (amount / 100).toFixed(2);
  return `${language === 'de' ? number.replace('.', ',') : number} €`;
}

function digitsOf(currency: string): number {
  const { maximumFractionDigits } = new Intl.NumberFormat('en', {
    style: 'currency',
    currency,
  }).resolvedOptions();
  return maximumFractionDigits ?? 2;
}

export function cite(citation: number | null): string {
  return citation === null ? '' : ` [${citation}]`;
}

/** a, b and c */
export function listed(parts: readonly string[], language: Language): string {
  const and = language === 'de' ? 'und' : 'and';
  if (parts.length < 2) return parts.join('');
  return `${parts.slice(0, -1).join(', ')} ${and} ${parts.at(-1)}`;
}

const germanAllergens: Record<string, string> = {
  nuts: 'Nüsse',
  peanuts: 'Erdnüsse',
  milk: 'Milch',
  egg: 'Ei',
  fish: 'Fisch',
  crustaceans: 'Krebstiere',
  molluscs: 'Weichtiere',
  soy: 'Soja',
  sesame: 'Sesam',
  celery: 'Sellerie',
  mustard: 'Senf',
  lupin: 'Lupinen',
  sulphites: 'Sulfite',
  gluten: 'Gluten',
};

export function allergensNamed(allergens: readonly string[], language: Language): string {
  return listed(language === 'de' ? allergens.map((it) => germanAllergens[it] ?? it) : allergens, language);
}

/** `Margherita, 8.90 €`, by which later turns find again what was spoken of. */
export function priced({ name, price, currency }: Dish, language: Language): string {
  return price === null ? name : `${name}, ${money(price, currency, language)}`;
}

const name = String.raw`(\p{Lu}[^,:;.\n•\d€]{1,60}?)`;
// As menu.ts, dish.ts and order.ts put it.
const saidNames = [
  String.raw`^- (?:\d+ × )?${name}(?:, |: )\d+[.,]\d{2} €`,
  String.raw`(?:^|[.:] )${name}(?:, | costs | kostet )\d+[.,]\d{2} €`,
  `(?:^|: )${name} (?:is (?:not )?marked|contains|is sold out|ist (?:nicht )?als|enthält|ist zurzeit)`,
  `(?:allergens of|Allergene von) ${name}:`,
  String.raw`^(?:Yes\. |Ja\. )?${name}: (?!\d)[^\n]*\[\d+\]`,
].map((pattern) => new RegExp(pattern, 'gmu'));

/** The names of dishes in an answer of ours. */
export function namesSaid(answer: string): string[] {
  const found = saidNames.flatMap((pattern) =>
    [...answer.matchAll(pattern)].map(([, said]) => (said ?? '').trim()),
  );
  return [...new Set(found)].filter(
    (said) => !/^(?:Total|Zusammen|Yes|No|Ja|Nein|Discount|Rabatt)\b/.test(said),
  );
}

/** A question of ours which of several dishes is meant. */
export type Which = { words: string; names: string[] };

// As order.ts puts it.
export function whichIn(answer: string): Which | undefined {
  const words = /^(?:Which “(.+?)” do you mean|Welches „(.+?)“ meinen Sie)\?/m.exec(answer);
  return words === null ? undefined : { words: words[1] ?? words[2] ?? '', names: namesSaid(answer) };
}

/** What an answer of ours said cannot be ordered. */
export function refusedIn(answer: string): string[] {
  const unknown = /^(?:I find no “(.+?)” on the menu|„(.+?)“ finde ich nicht auf der Karte)/m.exec(answer);
  if (unknown !== null) return [unknown[1] ?? unknown[2] ?? ''];
  const soldOut = /^(?:Sold out at the moment|Zurzeit ausverkauft): (.+?)(?:\. Nothing|\. Bestellt)/m.exec(
    answer,
  );
  const list = soldOut?.[1]?.replace(/ \[\d+\]/g, '') ?? '';
  return list.split(/, | and | und /).filter((name) => name !== '');
}

export const offlineNote = {
  en: 'Offline mode: no language model is set up, so I answer with sentences of the sources and by rules.',
  de: 'Offline-Modus: Es ist kein Sprachmodell eingerichtet; ich antworte mit Sätzen der Quellen und nach Regeln.',
} as const;

/** Whether a text says already that it is the offline mode that answers. */
export function saysOffline(text: string): boolean {
  return Object.values(offlineNote).some((note) => text.includes(note));
}

export function dontKnow(language: Language): string {
  return language === 'de'
    ? 'Das weiß ich nicht: In der Karte und den Unterlagen steht dazu nichts. Das Team im Restaurant kann helfen.'
    : "I don't know: neither the menu nor the documents say anything about that. The staff can help you further.";
}

/** A greeting, thanks and what the assistant is: nothing of it needs a source. */
export function smallTalk(kind: 'greeting' | 'thanks' | 'bye' | 'about', language: Language): string {
  return talk[kind][language];
}

const talk = {
  greeting: {
    en: 'Hello! Ask me about the menu, the rules of the house or promotions, or tell me what you would like to order.',
    de: 'Hallo! Fragen Sie mich nach der Karte, den Regeln des Hauses oder Aktionen, oder sagen Sie, was Sie bestellen möchten.',
  },
  thanks: { en: 'You are welcome. Anything else?', de: 'Gern geschehen. Darf es noch etwas sein?' },
  bye: { en: 'Goodbye, and enjoy your meal!', de: 'Auf Wiedersehen und guten Appetit!' },
  about: {
    en:
      'I am the assistant of this house, a program. I can search the menu (for example "vegan pizza under 10 euros" or ' +
      '"desserts without nuts"), answer questions about opening hours, delivery and other rules with their sources, ' +
      'apply promotion codes, and prepare an order that you approve before it is placed.',
    de:
      'Ich bin der Assistent des Hauses, ein Programm. Ich suche in der Karte (etwa „vegane Pizza unter 10 Euro“), ' +
      'beantworte Fragen zu Öffnungszeiten, Lieferung und anderen Regeln mit Quellen, wende Aktionscodes an und ' +
      'bereite eine Bestellung vor, die Sie freigeben, bevor sie aufgegeben wird.',
  },
} as const;
