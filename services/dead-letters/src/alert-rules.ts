/** When an alert is raised and when it is cleared: decided here, carried out by alert-store. */

export const alertKinds = ['volume', 'oldest_age', 'failure_rate'] as const;
export type AlertKind = (typeof alertKinds)[number];

/** A rule of '*' is about each group by itself, one of null about all groups together. */
export const eachGroup = '*';

/**
 * Thresholds of one kind: `volume` in letters that wait, `oldest_age` in seconds, `failure_rate` in letters a minute.
 * Between `clear_below` and `raise_at` nothing changes, so a value that swings there pages once.
 */
export type AlertRule = {
  kind: AlertKind;
  group: string | null;
  raise_at: number;
  clear_below: number;
  /** How long the value must stay at `raise_at` or above before the alert is raised, seconds. */
  raise_after_s: number;
  /** How long it must stay below `clear_below` before the alert is cleared, seconds. */
  clear_after_s: number;
};

/** What is known of one watched value from the round before. */
export type Watch =
  | { state: 'quiet' }
  | { state: 'pending'; since: Date }
  | { state: 'raised'; belowSince: Date | null };

export type Step = 'none' | 'pend' | 'forget' | 'raise' | 'fall' | 'rise' | 'clear';

/** The step from one round to the next; `rule` is undefined when it was taken away, which clears what it raised. */
export function nextStep(rule: AlertRule | undefined, watch: Watch, value: number, now: Date): Step {
  if (rule === undefined) {
    if (watch.state === 'quiet') return 'none';
    return watch.state === 'pending' ? 'forget' : 'clear';
  }
  const isHigh = value >= rule.raise_at;
  const lasts = (since: Date, seconds: number) => now.getTime() - since.getTime() >= seconds * 1_000;
  switch (watch.state) {
    case 'quiet':
      if (!isHigh) return 'none';
      return rule.raise_after_s === 0 ? 'raise' : 'pend';
    case 'pending':
      if (!isHigh) return 'forget';
      return lasts(watch.since, rule.raise_after_s) ? 'raise' : 'none';
    case 'raised': {
      const isLow = value < rule.clear_below;
      if (!isLow) return watch.belowSince === null ? 'none' : 'rise';
      if (rule.clear_after_s === 0) return 'clear';
      if (watch.belowSince === null) return 'fall';
      return lasts(watch.belowSince, rule.clear_after_s) ? 'clear' : 'none';
    }
  }
}

/** The rule for a group (null: all together): one that names it goes before the one for each. */
export function ruleFor(
  rules: readonly AlertRule[],
  kind: AlertKind,
  group: string | null,
): AlertRule | undefined {
  const named = rules.find((rule) => rule.kind === kind && rule.group === group);
  if (named !== undefined || group === null) return named;
  return rules.find((rule) => rule.kind === kind && rule.group === eachGroup);
}

/** How long until a message that was not taken is sent again; longer each time, at most 15 minutes. */
export function pauseMs(attempt: number, random: () => number): number {
  const whole = Math.min(5_000 * 2 ** Math.min(attempt - 1, 20), 900_000);
  return Math.round(whole * (0.8 + 0.4 * random()));
}
