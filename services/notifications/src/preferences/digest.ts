/** What a digest says, and how it is known: pure. */
import { createHash } from 'node:crypto';
import { kindOf } from './kinds.ts';

export type Held = { audience: 'user' | 'staff'; kind: string; count: number };

/** More than so many are not counted: a digest says "at least". */
export const countedMax = 10_000;

/** `3 new orders, 1 order was cancelled`. undefined when there is nothing to tell. */
export function digestTitle(held: readonly Held[]): string | undefined {
  const counted = held.filter(({ count }) => count > 0);
  if (counted.length === 0) return undefined;
  const total = counted.reduce((sum, { count }) => sum + count, 0);
  const parts = counted.map(({ audience, kind, count }) => {
    const known = kindOf(kind);
    const own = audience === 'staff' ? known?.staff : known?.own;
    const [one, many] = own ?? ['other notification', 'other notifications'];
    return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
  });
  return `${total >= countedMax ? 'At least: ' : ''}${parts.join(', ')}`;
}

/**
 * The event that a digest tells of is its window. The same window has the same id, whoever tells it and however often:
 * a UUIDv7 of its beginning, with what is random in others taken from the user and the time.
 */
export function windowId(
  { tenant_id, user_id }: { tenant_id: string; user_id: string },
  startsAt: number,
): string {
  const hash = createHash('sha256').update(`digest ${tenant_id} ${user_id} ${startsAt}`).digest('hex');
  const time = startsAt.toString(16).padStart(12, '0');
  const variant = (8 + (Number.parseInt(hash.slice(3, 4), 16) % 4)).toString(16);
  return `${time.slice(0, 8)}-${time.slice(8)}-7${hash.slice(0, 3)}-${variant}${hash.slice(4, 7)}-${hash.slice(7, 19)}`;
}
