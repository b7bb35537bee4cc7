/** Sends claimed letters to their groups' topics, and again what a process that died had claimed and may not have sent. */
import type { Pool } from '@ragline/postgres/pool';
import type { Logger } from '@ragline/runtime/logger';
import { rawHeaders } from '@ragline/streams/parking/headers';
import type { OutgoingRecord, Producer } from '@ragline/streams/producer';
import { routeOf } from './actions.ts';
import { ownHeaders } from './edit-rules.ts';
import { appendLetterEvents, type Encode } from './events.ts';
import { type LetterRow, rowColumns, type StoredHeaders } from './letter.ts';
import { sendWithinS } from './replay.ts';
import { inScope, system } from './scope.ts';
import { setState } from './store.ts';

export type ReplaySender = ReturnType<typeof startReplaySender>;

export type ReplaySenderOptions = {
  pool: Pool;
  producer: Pick<Producer, 'send'>;
  foreignReplayTopics: ReadonlyMap<string, string>;
  encoder: () => Promise<Encode>;
  log: Logger;
  /** For tests: how often it looks for what others left. */
  sweepEveryMs?: number;
};

const sweptAtOnce = 500;

export function startReplaySender(options: ReplaySenderOptions) {
  const { pool, producer, foreignReplayTopics, encoder, log, sweepEveryMs = 5_000 } = options;
  const underWay = new Set<string>();
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let sweeping: Promise<void> = Promise.resolve();

  const deliver = async (letters: readonly LetterRow[]): Promise<void> => {
    const mine = letters.filter(({ id }) => !underWay.has(id));
    for (const { id } of mine) underWay.add(id);
    try {
      for (const [topic, of] of byTopic(mine, foreignReplayTopics)) {
        await producer.send(topic, of.map(recordOf));
        await markSent(of);
      }
    } catch (error) {
      // Stays claimed: the sweeper comes back to it.
      log.warn('letters were not sent; they will be', { letters: mine.length, error });
    } finally {
      for (const { id } of mine) underWay.delete(id);
    }
  };

  const markSent = async (letters: readonly LetterRow[]): Promise<void> => {
    const encode = await encoder();
    // Nobody tells what becomes of a record in a group that is not RAGline's: that it is sent is all there is to know.
    const foreign = letters.filter((letter) => routeOf(letter, foreignReplayTopics).kind === 'foreign');
    await inScope(pool, system, async (client) => {
      await client.query({
        name: 'dead_letters_sent',
        text: 'DELETE FROM dead_letters.sending WHERE letter_id = ANY ($1::uuid[])',
        values: [letters.map(({ id }) => id)],
      });
      const resolved = await setState(client, foreign, 'resolved');
      const event_type = 'dead_letter_resolved';
      await appendLetterEvents(
        client,
        encode,
        resolved.map((letter) => ({ event_type, user_id: null, letter })),
      );
    });
  };

  /** Keeps the claims of this process, and takes over those that nobody keeps. */
  const sweep = async (): Promise<void> => {
    const left = await inScope(pool, system, async (client) => {
      const until = `clock_timestamp() + ${sendWithinS} * interval '1 second'`;
      if (underWay.size > 0) {
        await client.query(
          `UPDATE dead_letters.sending SET until = ${until} WHERE letter_id = ANY ($1::uuid[])`,
          [[...underWay]],
        );
      }
      const { rows } = await client.query<LetterRow>(
        `WITH expired AS (
           SELECT letter_id FROM dead_letters.sending WHERE until < clock_timestamp() ORDER BY until LIMIT ${sweptAtOnce}
              FOR UPDATE SKIP LOCKED),
         taken AS (
           UPDATE dead_letters.sending s SET until = ${until} FROM expired e WHERE s.letter_id = e.letter_id RETURNING s.letter_id)
         SELECT ${rowColumns} FROM dead_letters.letter l JOIN taken t ON t.letter_id = l.id`,
      );
      return rows;
    });
    // Settled meanwhile: sent after all, before whoever sent it could say so.
    const settled = left.filter(({ state }) => state !== 'replaying');
    if (settled.length > 0) await forget(settled);
    const toSend = left.filter(({ state }) => state === 'replaying');
    if (toSend.length === 0) return;
    log.info('letters that were claimed are sent again', { letters: toSend.length });
    await deliver(toSend);
  };

  const forget = (letters: readonly LetterRow[]) =>
    inScope(pool, system, (client) =>
      client.query('DELETE FROM dead_letters.sending WHERE letter_id = ANY ($1::uuid[])', [
        letters.map(({ id }) => id),
      ]),
    );

  const begin = () => {
    sweeping = sweep()
      .catch((error: unknown) => log.warn('claimed letters could not be looked through', { error }))
      .then(() => {
        if (!stopped) timer = setTimeout(begin, sweepEveryMs);
      });
  };
  begin();

  return {
    /** Sends what was claimed and committed; never throws: what cannot be sent now is sent later. */
    send(letters: readonly LetterRow[]): void {
      if (letters.length > 0) void deliver(letters);
    },
    /** The same, and waits until they are sent, or are left to the sweeper. */
    sendAll: deliver,
    async stop(): Promise<void> {
      stopped = true;
      clearTimeout(timer);
      await sweeping;
    },
  };
}

function byTopic(
  letters: readonly LetterRow[],
  foreignReplayTopics: ReadonlyMap<string, string>,
): Map<string, LetterRow[]> {
  const topics = new Map<string, LetterRow[]>();
  for (const letter of letters) {
    const route = routeOf(letter, foreignReplayTopics);
    if (route.kind !== 'unordered' && route.kind !== 'foreign') continue;
    const of = topics.get(route.topic) ?? [];
    of.push(letter);
    topics.set(route.topic, of);
  }
  return topics;
}

/** The record as it is sent back: its bytes, its key; for a group of ours in its own partition, with what tells the tries. */
export function recordOf(letter: LetterRow): OutgoingRecord & { partition?: number } {
  const { key, value, headers, source, partition, attempts, inbox_id, event_id } = letter;
  if (source !== 'ragline') return { key, value, headers: rawHeaders(withoutForeign(headers)) };
  const told = { 'inbox-id': { t: inbox_id ?? event_id ?? '' }, attempt: { t: String(attempts) } };
  return { key, value, partition, headers: rawHeaders({ ...headers, ...told }) };
}

// The next death adds its own.
const foreignPrefixes = ['kafka_dlt-', '__connect.errors.', '__dlq.errors.'];

function withoutForeign(headers: StoredHeaders): StoredHeaders {
  return Object.fromEntries(
    Object.entries(ownHeaders(headers)).filter(
      ([name]) => !foreignPrefixes.some((prefix) => name.startsWith(prefix)),
    ),
  );
}
