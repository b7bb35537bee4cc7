/** Personal data in a text: found by rules, and taken out before a text goes where it should not. */
import { findPhoneNumbersInText, isSupportedCountry } from 'libphonenumber-js/max';
import { isCardNumber, isIban } from './check-digits.ts';

export const piiKinds = ['email', 'card', 'iban', 'phone', 'name'] as const;
export type PiiKind = (typeof piiKinds)[number];
export type Found = { kind: PiiKind; start: number; end: number };

export type PiiOptions = {
  /** ISO 3166 code of the country whose numbers are written without a prefix; US when not given. */
  region?: string;
  /** Names of people too: slower, and now and then a dish is taken for a person. */
  names?: boolean;
};

// Bounded on both sides: no text makes them slow.
const emailPattern = /[\p{L}\p{N}._%+-]{1,64}@(?:[\p{L}\p{N}-]{1,63}\.){1,8}\p{L}{2,24}/gu;
const ibanPattern = /\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{1,4}){3,8}\b/gi;
const cardPattern = /(?<![\d.,])\d(?:[ -]?\d){12,18}(?![\d.,]*\d)/g;

/** Longer texts are looked at this far; the rest is taken out whole. */
const readMax = 65_536;

/** Where personal data stands in the text, in order, without overlaps. */
export async function findPii(
  text: string,
  { region = 'US', names = false }: PiiOptions = {},
): Promise<Found[]> {
  const read = text.slice(0, readMax);
  const found: Found[] = [];
  const add = (kind: PiiKind, start: number, end: number) => {
    if (!found.some((other) => start < other.end && other.start < end)) found.push({ kind, start, end });
  };
  for (const { index, 0: match } of read.matchAll(emailPattern)) add('email', index, index + match.length);
  for (const { index, 0: match } of read.matchAll(ibanPattern)) {
    if (isIban(match)) add('iban', index, index + match.length);
  }
  for (const { index, 0: match } of read.matchAll(cardPattern)) {
    if (isCardNumber(match)) add('card', index, index + match.length);
  }
  for (const { startsAt, endsAt } of phonesIn(read, region)) add('phone', startsAt, endsAt);
  if (names) for (const { start, end } of await namesIn(read)) add('name', start, end);
  return found.sort((a, b) => a.start - b.start);
}

/**
 * The text with each piece of personal data replaced by its kind, such as `[email]`. Names only when asked for.
 * A masked text stays as it is when it is masked again.
 */
export async function maskPii(text: string, options: PiiOptions = {}): Promise<string> {
  const masked = mask(text.slice(0, readMax), await findPii(text, options));
  return text.length > readMax ? `${masked}[cut]` : masked;
}

/** The text with what was found in it replaced. */
export function mask(text: string, found: readonly Found[]): string {
  let masked = '';
  let from = 0;
  for (const { kind, start, end } of found) {
    masked += `${text.slice(from, start)}[${kind}]`;
    from = end;
  }
  return masked + text.slice(from);
}

function phonesIn(text: string, region: string) {
  const defaultCountry = isSupportedCountry(region) ? region : 'US';
  return findPhoneNumbersInText(text, { defaultCountry }).filter(
    // A bare run of digits without a prefix is an order's number or an amount more often than a phone.
    ({ number, startsAt, endsAt }) => number.isValid() && /\D|^0/.test(text.slice(startsAt, endsAt)),
  );
}

async function namesIn(text: string): Promise<{ start: number; end: number }[]> {
  // Half a second to load: paid by whoever first asks for names.
  const { default: nlp } = await import('compromise');
  const people: unknown = nlp(text).people().json({ offset: true, text: true });
  if (!Array.isArray(people)) return [];
  return people.flatMap((it: unknown) => {
    const place = placeOf(it);
    if (place === undefined) return [];
    // Its matches end with the comma after a name.
    const name = text.slice(place.start, place.start + place.length).replace(/[\s\p{P}]+$/u, '');
    return name === '' ? [] : [{ start: place.start, end: place.start + name.length }];
  });
}

function placeOf(match: unknown): { start: number; length: number } | undefined {
  if (typeof match !== 'object' || match === null || !('offset' in match)) return undefined;
  const { offset } = match;
  if (typeof offset !== 'object' || offset === null || !('start' in offset) || !('length' in offset)) return;
  const { start, length } = offset;
  return typeof start === 'number' && typeof length === 'number' ? { start, length } : undefined;
}
