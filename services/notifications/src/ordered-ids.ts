/** UUIDv7 that rise within a process, also within a millisecond: rows made together keep their order by id. */
import { randomUUIDv7 } from 'node:crypto';

const counterMax = 0xfff;

/**
 * The twelve bits behind the time are a counter (RFC 9562, 6.2, method 1); when it is full, the time runs ahead.
 *
 * @param now milliseconds, as Date.now
 */
export function createOrderedIds(now: () => number): () => string {
  let ms = 0;
  let counter = 0;

  return () => {
    const at = now();
    if (at > ms) {
      ms = at;
      counter = 0;
    } else if (counter < counterMax) {
      counter += 1;
    } else {
      ms += 1;
      counter = 0;
    }
    const time = ms.toString(16).padStart(12, '0');
    const count = counter.toString(16).padStart(3, '0');
    return `${time.slice(0, 8)}-${time.slice(8)}-7${count}-${randomUUIDv7().slice(19)}`;
  };
}
