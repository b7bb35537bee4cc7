/** Whether a record is about a person: pure, by its headers, its key and its bytes. */
import { allTopics, topics } from '@ragline/schemas/topics';
import type { TailRecord } from '@ragline/streams/tail-records';

/**
 * answers: chat.events.v1, texts, for a day. failed: what groups gave up on, or try again: bytes of anything.
 * log: fed by an outbox, ids alone, unless somebody else wrote there. counted: ids and numbers alone, written by a service.
 * other: not ours, or not known.
 */
export type TopicKind = 'answers' | 'failed' | 'log' | 'counted' | 'other';

export function kindOf(name: string): TopicKind {
  if (name === topics.chatEvents.name) return 'answers';
  if (/\.(?:dlq|replay)$|\.retry\.[^.]+$/.test(name)) return 'failed';
  const known = allTopics.find((it) => it.name === name);
  if (known === undefined) return 'other';
  return known.direct === true || known.schema === null ? 'counted' : 'log';
}

/** Kafka's own, and the three of a Connect: offsets and settings. What a connector writes may be called alike. */
export const isInternal = (name: string): boolean =>
  name.startsWith('__') || /^_?connect[-_.](?:configs?|offsets?|status)$/.test(name);

/** `event`: the person's, or `isNamed` in it, and an event of ours when an outbox has it. */
export type Verdict = { is: 'about' } | { is: 'event'; id: string; isNamed: boolean } | { is: 'nothing' };
export type Judge = (kind: TopicKind, record: Pick<TailRecord, 'key' | 'value' | 'headers'>) => Verdict;

const uuidShape = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * @param userId as the header user_id has it
 * @param keys of records about the person: of orders, conversations, the user
 * @param texts that name the person; compared as bytes, ASCII's letters small or large, whatever stands around them. An
 *   address has to stand by itself
 */
export function judgeOf(userId: string, keys: readonly string[], texts: readonly string[]): Judge {
  const own = new Set(keys);
  const needles = texts.map(needleOf);
  const mentions = (bytes: Buffer | null) => {
    if (bytes === null || needles.length === 0) return false;
    const text = bytes.toString('latin1').toLowerCase();
    return needles.some((isIn) => isIn(text));
  };

  return (kind, { key, value, headers }) => {
    const isNamed = mentions(value) || mentions(key) || headers.some(([, content]) => mentions(content));
    if (kind === 'counted' && !isNamed) return { is: 'nothing' };
    const header = (name: string) => headers.find(([it]) => it?.toString() === name)?.[1]?.toString();
    const isOwn = header('user_id') === userId || (key !== null && own.has(key.toString()));
    if (!isOwn && !isNamed) return { is: 'nothing' };
    if (kind !== 'log') return { is: 'about' };
    const id = header('id') ?? '';
    return uuidShape.test(id) ? { is: 'event', id, isNamed } : { is: 'about' };
  };
}

// Escapes before an address are no letters of it, and in binary bytes a length looks like a letter: any place counts there.
const notBefore = '(?<![a-z0-9])(?<![a-z0-9][._%+-])';
const escapeBefore = '(?<=(?:\\\\[bfnrt]|\\\\u[0-9a-f]{4}|\\\\[0-7]{3}|%[0-9a-f]{2})[._%+-]?)';
const notAfter = '(?![a-z0-9]|-[a-z0-9]|\\.[a-z])';
const binary = /[^\t\n\r -\xff]/;

/** Whether bytes, read as Latin-1 in small letters, have the text; the same as ops.mentions of the database. */
function needleOf(of: string): (text: string) => boolean {
  const needle = Buffer.from(of).toString('latin1').toLowerCase();
  if (!/^[^\s@]+@[^\s@]+$/.test(of)) return (text) => text.includes(needle);
  const escaped = needle.replace(/[\\.*+?(){}[\]|^$]/g, '\\$&');
  const alone = new RegExp(`(?:${notBefore}|${escapeBefore})${escaped}${notAfter}`);
  return (text) => text.includes(needle) && (binary.test(text) || alone.test(text));
}
