/** Answers that may be a little old: each is asked for once, however many wait for it, and again after a while. */

/** A failed question is not remembered. The oldest answers go when there are more than `max`. */
export function remembered<T>(
  { keptMs, max }: { keptMs: number; max: number },
  ask: (key: string) => Promise<T>,
): (key: string) => Promise<T> {
  const answers = new Map<string, { answer: Promise<T>; until: number }>();
  return (key) => {
    const known = answers.get(key);
    if (known !== undefined && known.until > Date.now()) return known.answer;
    const answer = ask(key);
    const entry = { answer, until: Date.now() + keptMs };
    answers.delete(key);
    answers.set(key, entry);
    answer.catch(() => {
      if (answers.get(key) === entry) answers.delete(key);
    });
    const [oldest] = answers.keys();
    if (answers.size > max && oldest !== undefined) answers.delete(oldest);
    return answer;
  };
}
