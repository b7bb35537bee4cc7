/**
 * Which letters failed alike: the same group, event type and error class, the same message but for what differs from
 * letter to letter, and the same place in the code.
 */
import { createHash } from 'node:crypto';
import type { FingerprintParts } from './letter.ts';

/** Part of each fingerprint: under a new rule old letters keep their groups, and nothing is mixed. */
export const algorithm = 1;

export type Failed = {
  group_id: string;
  event_type: string | null;
  error_class: string | null;
  error_message: string | null;
  error_stack: string | null;
};

const messageMax = 512;
const frameMax = 256;

export function fingerprintOf(failed: Failed): { fingerprint: string; parts: FingerprintParts } {
  const parts: FingerprintParts = {
    algorithm,
    group: failed.group_id,
    event_type: failed.event_type,
    error_class: failed.error_class,
    message: normalised(failed.error_message ?? ''),
    frame: ownFrame(failed.error_stack ?? ''),
  };
  const hash = createHash('sha256')
    .update(JSON.stringify(Object.values(parts)))
    .digest('hex');
  return { fingerprint: `${algorithm}-${hash.slice(0, 32)}`, parts };
}

// In this order: what comes first would else be taken apart by what follows. Each is linear in the text.
const placeholders: [RegExp, string][] = [
  [/"(?:[^"\\\n]|\\.){0,400}"|'(?:[^'\\\n]|\\.){0,400}'|`[^`\n]{0,400}`/g, '<text>'],
  [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi, '<uuid>'],
  [/\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?/g, '<time>'],
  [/\b\d{1,2}:\d\d(?::\d\d(?:[.,]\d{1,9})?)?\b/g, '<time>'],
  [/\b[a-z][a-z0-9+.-]{0,20}:\/\/[^\s<>]{1,400}/gi, '<url>'],
  [/[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){0,8}/g, '<address>'],
  [/(?:[A-Za-z]:)?(?:[\\/][\w.@-]{1,100}){2,40}[\\/]?/g, '<path>'],
  [/\b\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?\b/g, '<address>'],
  [/\b0x[0-9a-f]{1,64}\b/gi, '<hex>'],
  [/\b(?=[a-f]{0,32}\d)(?=\d{0,32}[a-f])[0-9a-f]{8,128}\b/gi, '<hex>'],
  // Tokens such as order_17 or 0a1b: letters and digits mixed are an id, not a word.
  [/[-+]?\d[\d.,_]*(?:e[-+]?\d+)?/gi, '<n>'],
  [/\s+/g, ' '],
];

/** The message without what differs from letter to letter. Normalising it again changes nothing. */
export function normalised(message: string): string {
  let text = message.slice(0, messageMax * 4);
  for (const [pattern, placeholder] of placeholders) text = text.replace(pattern, placeholder);
  return cut(text.trim(), messageMax);
}

// Of libraries and of the platform itself: the same for whatever goes wrong in them.
const foreignFrame =
  /node_modules|\(?node:|<anonymous>|\binternal\/|^at (?:java|javax|jdk|sun|kotlin|scala)\.|^at org\.(?:apache|springframework|hibernate)\.|site-packages/;

/** The first frame of the application's own code, without line numbers and folders; the first of all when none is its own. */
export function ownFrame(stack: string): string | null {
  const frames = stack
    .slice(0, 16_384)
    .split('\n', 200)
    .map((line) => line.trim())
    .filter((line) => line.startsWith('at '));
  const frame = frames.find((line) => !foreignFrame.test(line)) ?? frames[0];
  if (frame === undefined) return null;
  const short = frame
    .slice(3, 3 + frameMax * 4)
    .replace(/(?:file:\/\/)?(?:[A-Za-z]:)?(?:[\\/][^\\/\s():]+)*[\\/]([^\\/\s():]+)/g, '$1')
    .replace(/(?::\d+)+(?=\)?$)/, '')
    .replace(/\$\$Lambda[^.)]*|0x[0-9a-f]+/gi, '<n>');
  return cut(short, frameMax);
}

// A cut may fall into a surrogate pair, of which jsonb takes no half.
const cut = (text: string, max: number): string => text.slice(0, max).toWellFormed();
