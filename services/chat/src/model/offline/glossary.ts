/** German questions about the house in English keywords: the local embedding model reads English alone. */
import { wordsOf } from './words.ts';

// Beginnings of words, without umlauts, and what a document would call it.
const glossary: [beginning: RegExp, english: string][] = [
  [/^(?:geoffnet|offen|offnungszeit|aufhabt|schliesst|schliess)/, 'opening hours when are you open'],
  [/^(?:liefer|bringt)/, 'delivery'],
  [/^(?:liefergebuhr|lieferkosten)/, 'delivery costs fee'],
  [/^(?:kostet|kosten|preis)/, 'cost'],
  [/^(?:mindestbestellwert)/, 'minimum order'],
  [/^(?:zahl|bezahl|karte|bar$)/, 'which payment cards cash how can I pay'],
  [/^(?:park)/, 'parking'],
  [/^(?:hund)/, 'are dogs allowed'],
  [/^(?:reservier|tisch)/, 'reserve a table'],
  [/^(?:stornier|abbestell)/, 'cancel an order'],
  [/^(?:ruckerstatt|erstatt|geld)/, 'refund'],
  [/^(?:reklam|kalt|falsch)/, 'something was wrong with the food'],
  [/^(?:gutschein)/, 'gift vouchers'],
  [/^(?:rechnung)/, 'invoice'],
  [/^(?:trinkgeld)/, 'tip'],
  [/^(?:kinder|hochstuhl)/, 'children high chairs'],
  [/^(?:rollstuhl|barrierefrei)/, 'accessible by wheelchair'],
  [/^(?:wlan|wifi|internet)/, 'Wi-Fi'],
  [/^(?:allerg|spuren)/, 'allergens traces'],
  [/^(?:feiertag|weihnacht)/, 'open on public holidays'],
  [/^(?:fruhstuck)/, 'breakfast'],
  [/^(?:mittag)/, 'lunch menu'],
  [/^(?:gruppe|feier|geburtstag)/, 'large groups parties'],
  [/^(?:lang|dauert)/, 'how long does it take'],
  [/^(?:sonntag)/, 'Sunday'],
  [/^(?:samstag)/, 'Saturday'],
  [/^(?:montag)/, 'Monday'],
];

/** Empty when the question has none of the words. */
export function englishOf(question: string): string {
  const found = wordsOf(question).flatMap((word) =>
    glossary.filter(([beginning]) => beginning.test(word)).map(([, english]) => english),
  );
  return [...new Set(found)].join(' ');
}
