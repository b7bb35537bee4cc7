/** The outbox of orders and its topic, of parts that no service runs on: what a test writes is all that there is. */
import { topics } from '@ragline/schemas/topics';
import { createTailClient } from '@ragline/streams/tail-client';
import pg from 'pg';
import type { Stack } from '../../infra/local/start-stack.ts';
import { boundsOf, recordsOf } from '../../tools/src/streams/topic-records.ts';

/** @param stack that of the moment: a test stops it and starts it again */
export function bareOutbox(stack: () => Stack | undefined) {
  return {
    async query(text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
      const db = new pg.Client({ connectionString: stack()?.env.DATABASE_URL });
      await db.connect();
      try {
        return (await db.query(text, values)).rows;
      } finally {
        await db.end();
      }
    },

    /** Ids of all records on the topic, partition by partition in their order. */
    async held(): Promise<(string | null)[]> {
      const { KAFKA_BROKERS = '', KAFKA_USERNAME: username, KAFKA_PASSWORD: password } = stack()?.env ?? {};
      const kafka = { brokers: KAFKA_BROKERS.split(','), username, password };
      const client = createTailClient({ kafka, clientId: 'test-bare-outbox' });
      try {
        const seen: (string | null)[] = [];
        const bounds = await boundsOf(client, topics.orders.name);
        for await (const { id } of recordsOf(client, topics.orders.name, bounds)) seen.push(id);
        return seen;
      } finally {
        await client.close();
      }
    },
  };
}
