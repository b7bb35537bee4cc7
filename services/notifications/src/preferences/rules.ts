/** Preferences as values: what becomes of a notification, and until when what is held is held. */
import { digestKind, kindNames, kindOf } from './kinds.ts';
import { isQuiet, nextQuietEnd, type QuietHours } from './quiet-hours.ts';

/** `list`: shown by GET /v1/notifications. `live`: told on sockets and streams at once, in a digest, or not. */
export type Choice = { list: boolean; live: boolean | 'digest' };

export type Rules = {
  /** By kind; what is not named is as `usual`. */
  events: Partial<Record<string, Choice>>;
  quiet_hours: QuietHours | null;
  digest_minutes: number | null;
};

/** A user's preferences as they are, and as they were when older notifications were made. */
export type Preferences = {
  /** 0: nothing was ever put. */
  version: number;
  rules: Rules;
  /** Since when the rules hold; ms. */
  from: number;
  /** Newest first. */
  history: readonly { from: number; rules: Rules }[];
};

export const usual: Choice = { list: true, live: true };
export const usualRules: Rules = { events: {}, quiet_hours: null, digest_minutes: null };
export const usualPreferences: Preferences = { version: 0, rules: usualRules, from: 0, history: [] };

/** How many of the rules before are kept. What is older than all of them is judged by none, and told. */
export const historyMax = 20;

const minuteMs = 60_000;

export function choiceOf(rules: Rules, kind: string): Choice {
  return rules.events[kind] ?? usual;
}

/** The same rules in one form: without what is as usual, in the order of kinds. */
export function normal({ events, quiet_hours, digest_minutes }: Rules): Rules {
  const named = kindNames.flatMap((kind) => {
    const choice = events[kind];
    const isUsual = choice === undefined || (choice.list === usual.list && choice.live === usual.live);
    return isUsual ? [] : [[kind, { list: choice.list, live: choice.live }] as const];
  });
  const quiet = quiet_hours && {
    from: quiet_hours.from,
    to: quiet_hours.to,
    time_zone: quiet_hours.time_zone,
  };
  return { events: Object.fromEntries(named), quiet_hours: quiet, digest_minutes };
}

/** Whether two rules, both in normal form, are the same. */
export function isSame(one: Rules, other: Rules): boolean {
  return JSON.stringify(normal(one)) === JSON.stringify(normal(other));
}

/** The rules that held when a notification was made: so that all instances, replays and the digest judge it alike. */
export function rulesAt({ rules, from, history }: Preferences, at: number): Rules {
  if (at >= from) return rules;
  return history.find((it) => at >= it.from)?.rules ?? usualRules;
}

export type Verdict = 'told' | 'held' | 'muted';

/** What becomes of a notification on sockets and streams. A digest is always told: it is what was waited for. */
export function judge(rules: Rules, kind: string, at: number): Verdict {
  if (kind === digestKind) return 'told';
  const { live } = choiceOf(rules, kind);
  if (live === false) return 'muted';
  if (live === 'digest') return 'held';
  if (rules.quiet_hours === null || kindOf(kind)?.isUrgent) return 'told';
  return isQuiet(rules.quiet_hours, at) ? 'held' : 'told';
}

/** Kinds that wait for a digest always, and those that do in quiet hours; what is none of ours waits like `usual`. */
export function heldKinds(rules: Rules): { always: string[]; notWhenQuiet: string[] } {
  return {
    always: kindNames.filter((kind) => choiceOf(rules, kind).live === 'digest'),
    notWhenQuiet: [
      digestKind,
      ...kindNames.filter((kind) => kindOf(kind)?.isUrgent || choiceOf(rules, kind).live === false),
    ],
  };
}

export function unlistedKinds(rules: Rules): string[] {
  return kindNames.filter((kind) => !choiceOf(rules, kind).list);
}

function hasDigest(rules: Rules): boolean {
  return rules.digest_minutes !== null && heldKinds(rules).always.length > 0;
}

/** Whether anything is ever held: who holds nothing costs nothing. */
export function holdsAnything(rules: Rules): boolean {
  return rules.quiet_hours !== null || hasDigest(rules);
}

/**
 * The end of the window that begins at `start`: after so many minutes, or when quiet hours end, if that is before. An end
 * that falls into quiet hours waits for theirs.
 */
export function windowEnd(rules: Rules, start: number): number {
  const { quiet_hours: quiet, digest_minutes: minutes } = rules;
  const byMinutes = minutes !== null && hasDigest(rules) ? start + minutes * minuteMs : undefined;
  if (quiet === null) return byMinutes ?? start;
  const quietEnd = nextQuietEnd(quiet, start);
  if (byMinutes === undefined || byMinutes >= quietEnd) return quietEnd;
  return afterQuiet(rules, byMinutes);
}

/** `at`, or the end of the quiet hours that it is in. */
export function afterQuiet({ quiet_hours: quiet }: Rules, at: number): number {
  return quiet !== null && isQuiet(quiet, at) ? nextQuietEnd(quiet, at) : at;
}

/** The last end that is not after `at`: a window that nobody could tell in time is told once, with all that came since. */
export function lastEnd(rules: Rules, end: number, at: number): number {
  for (let last = end; ; ) {
    const next = windowEnd(rules, last);
    if (next > at || next <= last) return last;
    last = next;
  }
}
