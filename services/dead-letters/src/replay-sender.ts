/** Sends claimed letters to their groups' topics, and again what a process that died had claimed and may not have sent. */
import type { Client, Pool } from '@ragline/postgres/pool';
import type { Logger } from '@ragline/runtime/logger';
import { rawHeaders } from '@ragline/streams/parking/headers';
import type { OutgoingRecord } from '@ragline/streams/producer';
import { routeOf } from './actions.ts';
import { ownHeaders } from './edit-rules.ts';
import { appendLetterEvents, type Encode } from './events.ts';
import { foreignPrefixes } from './foreign.ts';
import { type LetterRow, rowColumns, type StoredHeaders } from './letter.ts';
import { sendWithinS } from './replay.ts';
import { endUnanswered, settleLate, waitAgain } from './replay-late.ts';
import { missingTopic, NoTopic, type ReplayProducer } from './replay-producer.ts';
import { inScope, system } from './scope.ts';
import { setState, take } from './store.ts';

export type ReplaySender = ReturnType<typeof startReplaySender>;

export type ReplaySenderOptions = {
  pool: Pool;
  producer: Pick<ReplayProducer, 'send' | 'exists'>;
  foreignReplayTopics: ReadonlyMap<string, string>;
  encoder: () => Promise<Encode>;
  log: Logger;
  /** For tests: how often it looks for what others left. */
  sweepEveryMs?: number;
};

const sweptAtOnce = 500;
const againWithinS = 5;
const stopWithinMs = 3_000;

export function startReplaySender(options: ReplaySenderOptions) {
  const { pool, producer, foreignReplayTopics, encoder, log, sweepEveryMs = 5_000 } = options;
  // By letter and claim: a letter may be claimed anew before its last sending is marked.
  const underWay = new Set<string>();
  const delivering = new Set<Promise<void>>();
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let sweeping: Promise<void> = Promise.resolve();

  const deliver = (letters: readonly LetterRow[]): Promise<void> => {
    const mine = letters.filter((letter) => !underWay.has(claimOf(letter)));
    // Side by side: a topic that takes nothing holds up no other.
    const topics = [...byTopic(mine, foreignReplayTopics)].map(([topic, of]) => deliverTo(topic, of));
    const all = Promise.all(topics).then(() => void delivering.delete(all));
    delivering.add(all);
    return all;
  };

  const deliverTo = async (topic: string, letters: readonly LetterRow[]): Promise<void> => {
    for (const letter of letters) underWay.add(claimOf(letter));
    try {
      await producer.send(topic, letters.map(recordOf));
      await markSent(letters);
    } catch (error) {
      const notMarked = (e: unknown) => log.warn('claims stay as they are', { topic, error: e });
      if (error instanceof NoTopic) await giveBack(topic, letters).catch(notMarked);
      else {
        log.warn('letters were not sent; they will be', { topic, letters: letters.length, error });
        await letGo(pool, letters).catch(notMarked);
      }
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
      const claimed = await endClaims(client, letters, letters);
      await waitAgain(client, encode, claimed, () => ({
        error_code: 'replay_topic_missing',
        error_message: missingTopic(topic),
      }));
    });
  };

  const markSent = async (letters: readonly LetterRow[]): Promise<void> => {
    const encode = await encoder();
    // Nobody tells what becomes of a record in a group that is not RAGline's: that it is sent is all there is to know.
    const foreign = letters.filter((letter) => routeOf(letter, foreignReplayTopics).kind === 'foreign');
    await inScope(pool, system, async (client) => {
      const resolved = await setState(client, await endClaims(client, letters, foreign), 'resolved');
      const event_type = 'dead_letter_resolved';
      await appendLetterEvents(
        client,
        encode,
        resolved.map((letter) => ({ event_type, user_id: null, letter })),
      );
    });
  };

  /** Takes over the claims that nobody has ended in time, and ends what nobody answers. */
  const sweep = async (): Promise<void> => {
    const left = await inScope(pool, system, async (client) => {
      const { rows } = await client.query<LetterRow>(
        `WITH expired AS (
           SELECT letter_id FROM dead_letters.sending WHERE until < clock_timestamp() ORDER BY until LIMIT ${sweptAtOnce}
              FOR UPDATE SKIP LOCKED),
         taken AS (
           UPDATE dead_letters.sending s SET until = clock_timestamp() + ${sendWithinS} * interval '1 second'
             FROM expired e WHERE s.letter_id = e.letter_id RETURNING s.letter_id)
         SELECT ${rowColumns} FROM dead_letters.letter l JOIN taken t ON t.letter_id = l.id`,
      );
      return rows;
    });
    // Settled meanwhile: sent after all, before whoever sent it could say so.
    const settled = left.filter(({ state }) => state !== 'replaying');
    if (settled.length > 0) await inScope(pool, system, (client) => endClaims(client, settled, []));
    const toSend = left.filter(({ state }) => state === 'replaying');
    if (toSend.length > 0) {
      log.info('letters that were claimed are sent again', { letters: toSend.length });
      // Not waited for: a Kafka that takes nothing stops no other claim.
      void deliver(toSend);
    }
    await endUnanswered({ pool, encoder, log });
    await settleLate({ pool, encoder });
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
    /** Whether there is the topic that the route leads to; true also when Kafka does not say. */
    async hasTopic(topic: string): Promise<boolean> {
      return producer.exists(topic).catch(() => true);
    },
    /** What is under way gets some seconds; the claims of the rest stay, for whoever sweeps next. */
    async stop(): Promise<void> {
      stopped = true;
      clearTimeout(timer);
      let patience: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        patience = setTimeout(resolve, stopWithinMs);
      });
      await Promise.race([Promise.all([sweeping, ...delivering]), late]);
      clearTimeout(patience);
    },
  };
}

const claimOf = ({ id, version }: LetterRow): string => `${id}@${version}`;

/**
 * Ends the claims, unless the letters were claimed anew since.
 *
 * @returns of `asked`, locked, those that are still being replayed by these claims
 */
async function endClaims(
  client: Client,
  letters: readonly LetterRow[],
  asked: readonly LetterRow[],
): Promise<LetterRow[]> {
  // The letters first, as whoever claims them does.
  const ids = asked.map(({ id }) => id);
  const locked = ids.length === 0 ? [] : await take(client, ids, ['replaying']);
  const { rows } = await client.query<{ letter_id: string }>({
    name: 'dead_letters_end_claims',
    text: `DELETE FROM dead_letters.sending s USING unnest($1::uuid[], $2::bigint[]) AS c (id, version)
            WHERE s.letter_id = c.id AND s.version <= c.version RETURNING s.letter_id`,
    values: [letters.map(({ id }) => id), letters.map(({ version }) => version)],
  });
  const ended = new Set(rows.map(({ letter_id }) => letter_id));
  return locked.filter(({ id }) => ended.has(id));
}

/** Claims that were not sent are looked at sooner than those of a process that died. */
async function letGo(pool: Pool, letters: readonly LetterRow[]): Promise<void> {
  await inScope(pool, system, (client) =>
    client.query({
      name: 'dead_letters_let_go',
      text: `UPDATE dead_letters.sending s SET until = clock_timestamp() + ${againWithinS} * interval '1 second'
               FROM unnest($1::uuid[], $2::bigint[]) AS c (id, version) WHERE s.letter_id = c.id AND s.version <= c.version`,
      values: [letters.map(({ id }) => id), letters.map(({ version }) => version)],
    }),
  );
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
