/** What Redis has of a person: counters of sign-ins by a hash of the address, vectors of the tenant's questions. */
import { createHash } from 'node:crypto';
import { createClient } from 'redis';
import type { Person } from './person.ts';

/**
 * Removes both; how many keys. Which vector is of whose question, nobody can say (docs/decisions/0112), so all of the
 * tenant go: they are made again.
 */
export async function eraseCaches(
  redisUrl: string,
  { tenant, tenant_id, email }: Person,
): Promise<Record<string, number>> {
  const client = createClient({ url: redisUrl, socket: { connectTimeout: 5_000, reconnectStrategy: false } });
  client.on('error', () => {});
  await client.connect();
  try {
    const removed = async (pattern: string) => {
      let count = 0;
      for await (const keys of client.scanIterator({ MATCH: pattern, COUNT: 1_000 })) {
        if (keys.length > 0) count += await client.unlink(keys);
      }
      return count;
    };
    const vectors = await removed(`ragline:query:${tenant_id}:*`);
    if (email === null) return { vectors };
    const account = createHash('sha256').update(`${tenant}\n${email}`).digest('base64url');
    const counters =
      (await client.unlink(`identity:login:account:${account}`)) +
      (await removed(`identity:login:pair:${account}:*`));
    return { vectors, counters };
  } finally {
    client.destroy();
  }
}
