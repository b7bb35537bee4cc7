/** What is asked for one by one in the same turn of the event loop, done together. */

/** Each caller's promise settles as `work` does for all that it was given. */
export function together<T>(work: (all: readonly T[]) => Promise<void>): (one: T) => Promise<void> {
  let gathered: { all: T[]; done: Promise<void> } | undefined;
  return (one) => {
    if (gathered === undefined) {
      const all: T[] = [];
      const done = new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
        gathered = undefined;
        return work(all);
      });
      gathered = { all, done };
    }
    gathered.all.push(one);
    return gathered.done;
  };
}
