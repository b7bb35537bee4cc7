/** What the offline responder does next: it says something, or has tools called first. */
import type { Language } from './wording.ts';

export type Step =
  | { kind: 'say'; text: string }
  | { kind: 'call'; calls: { name: string; input: Record<string, unknown> }[] };

export function say(text: string): Step {
  return { kind: 'say', text };
}

export function call(...calls: [name: string, input: Record<string, unknown>][]): Step {
  return { kind: 'call', calls: calls.map(([name, input]) => ({ name, input })) };
}

/** The text of the language that is spoken. */
export function inWords(language: Language, en: string, de: string): string {
  return language === 'de' ? de : en;
}
