/** When which signing key signs, as a pure function: every instance comes to the same plan by itself. */

export type KeyTimes = { kid: string; signs_from: Date };

export type KeyPolicy = {
  /** How long a key signs before the next one takes over. */
  lifetimeMs: number;
  /** At least so long a key is published before it signs, so that no verifier meets a kid it has not seen. */
  leadMs: number;
  /** So long a key stays published after it signed last: until the last token it signed has ended. */
  keepMs: number;
};

export type KeyPlan = {
  /** When each key that is to be made will sign from. */
  make: Date[];
  /** Keys that no living token needs. */
  remove: string[];
};

/** The key that signs now: of those whose time has come, the last. Undefined when there is none yet. */
export function signingKey<T extends KeyTimes>(keys: readonly T[], now: Date): T | undefined {
  return inOrder(keys).findLast(({ signs_from }) => signs_from <= now);
}

/**
 * What is missing, and what is to go. There is always one key that signs and one published for later: the next is
 * made when its predecessor begins, so it is known a whole lifetime ahead, and a change at once is safe too.
 */
export function planKeys(keys: readonly KeyTimes[], now: Date, policy: KeyPolicy): KeyPlan {
  const current = signingKey(keys, now);
  const hasNext = keys.some(({ signs_from }) => signs_from > now);
  const make: Date[] = current === undefined ? [now] : [];
  if (!hasNext) {
    const since = current?.signs_from ?? now;
    make.push(new Date(Math.max(since.getTime() + policy.lifetimeMs, now.getTime() + policy.leadMs)));
  }

  const past = inOrder(keys).filter(({ signs_from }) => signs_from <= now);
  const remove = past
    .filter((_, i) => {
      const successor = past[i + 1];
      return successor !== undefined && successor.signs_from.getTime() + policy.keepMs < now.getTime();
    })
    .map(({ kid }) => kid);
  return { make, remove };
}

// The kid decides between keys of the same moment, so that all instances choose alike.
const inOrder = <T extends KeyTimes>(keys: readonly T[]): T[] =>
  [...keys].sort((a, b) => a.signs_from.getTime() - b.signs_from.getTime() || (a.kid < b.kid ? -1 : 1));
