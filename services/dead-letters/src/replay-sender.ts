/** Sends claimed letters to their groups' topics, and again what a process that died had claimed and may not have sent. */
import type { Client, Pool } from '@ragline/postgres/pool';
import type { Logger } from '@ragline/runtime/logger';
import { rawHeaders } from '@ragline/streams/parking/headers';
import type { OutgoingRecord, Producer } from '@ragline/streams/producer';
import { routeOf } from './actions.ts';
import { ownHeaders } from './edit-rules.ts';
import { appendLetterEvents, type Encode } from './events.ts';
import { foreignPrefixes } from './foreign.ts';
import { type LetterRow, rowColumns, type StoredHeaders } from './letter.ts';
import { sendWithinS } from './replay.ts';
import { NoTopic } from './replay-producer.ts';
import { inScope, system } from './scope.ts';
import { setState, take } from './store.ts';

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
  // By letter and claim: a letter may be claimed anew before its last sending is marked.
  const underWay = new Map<string, LetterRow>();
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let sweeping: Promise<void> = Promise.resolve();

  const deliver = async (letters: readonly LetterRow[]): Promise<void> => {
    const mine = letters.filter((letter) => !underWay.has(claimOf(letter)));
    const topics = byTopic(mine, foreignReplayTopics);
    // Side by side: a topic that takes nothing holds up no other.
    await Promise.all([...topics].map(([topic, of]) => deliverTo(topic, of)));
  };

  const deliverTo = async (topic: string, letters: readonly LetterRow[]): Promise<void> => {
    for (const letter of letters) underWay.set(claimOf(letter), letter);
    try {
      await producer.send(topic, letters.map(recordOf));
      await markSent(letters);
    } catch (error) {
      // Else it stays claimed: the sweeper comes back to it.
      const isGone = error instanceof NoTopic;
      if (isGone)
        await giveBack(topic, letters).catch((e: unknown) => log.warn('a claim stays', { error: e }));
      else log.warn('letters were not sent; they will be', { topic, letters: letters.length, error });
    } finally {
      for (const letter of letters) underWay.delete(claimOf(letter));
    }
  };

  /** Nobody can read them there: they wait again, and their history says why. */
  const giveBack = async (topic: string, letters: readonly LetterRow[]): Promise<void> => {
    const encode = await encoder();
    log.warn('letters wait again: the topic of their replays does not exist', {
      topic,
      letters: letters.length,
    });
    await inScope(pool, system, async (client) => {
      await forgetClaims(client, letters);
      const waiting = await setState(client, await stillClaimed(client, letters), 'waiting');
      await client.query({
        name: 'dead_letters_no_replay_topic',
        text: `INSERT INTO dead_letters.attempt (letter_id, number, tenant_id, attempt, failed_at, error_code, error_message, by)
               SELECT l.id, (SELECT coalesce(max(number), 0) + 1 FROM dead_letters.attempt WHERE letter_id = l.id), l.tenant_id,
                      l.attempts, clock_timestamp(), 'replay_topic_missing', $2, 'replay'
                 FROM dead_letters.letter l WHERE l.id = ANY ($1::uuid[])`,
        values: [waiting.map(({ id }) => id), `Topic ${topic} does not exist`],
      });
      const event_type = 'dead_letter_failed_again';
      const events = waiting.map((letter) => ({ event_type, user_id: null, letter }) as const);
      await appendLetterEvents(client, encode, events);
    });
  };

  const markSent = async (letters: readonly LetterRow[]): Promise<void> => {
    const encode = await encoder();
    // Nobody tells what becomes of a record in a group that is not RAGline's: that it is sent is all there is to know.
    const foreign = letters.filter((letter) => routeOf(letter, foreignReplayTopics).kind === 'foreign');
    await inScope(pool, system, async (client) => {
      await forgetClaims(client, letters);
      const resolved = await setState(client, await stillClaimed(client, foreign), 'resolved');
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
          [[...underWay.values()].map(({ id }) => id)],
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
    if (settled.length > 0) await inScope(pool, system, (client) => forgetClaims(client, settled));
    const toSend = left.filter(({ state }) => state === 'replaying');
    if (toSend.length === 0) return;
    log.info('letters that were claimed are sent again', { letters: toSend.length });
    // Not waited for: a Kafka that takes nothing stops no other claim.
    void deliver(toSend);
  };

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

const claimOf = ({ id, version }: LetterRow): string => `${id}@${version}`;

/** Those that are claimed as they were, under their lock: nobody has answered them or claimed them anew. */
async function stillClaimed(client: Client, letters: readonly LetterRow[]): Promise<LetterRow[]> {
  if (letters.length === 0) return [];
  const claims = new Set(letters.map(claimOf));
  const taken = await take(
    client,
    letters.map(({ id }) => id),
    ['replaying'],
  );
  return taken.filter((letter) => claims.has(claimOf(letter)));
}

async function forgetClaims(client: Client, letters: readonly LetterRow[]): Promise<void> {
  await client.query({
    name: 'dead_letters_sent',
    text: `DELETE FROM dead_letters.sending s USING unnest($1::uuid[], $2::bigint[]) AS c (id, version)
            WHERE s.letter_id = c.id AND s.version <= c.version`,
    values: [letters.map(({ id }) => id), letters.map(({ version }) => version)],
  });
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
function withoutForeign(headers: StoredHeaders): StoredHeaders {
  return Object.fromEntries(
    Object.entries(ownHeaders(headers)).filter(
      ([name]) => !foreignPrefixes.some((prefix) => name.startsWith(prefix)),
    ),
  );
}
