/**
 * Writes again what the outboxes hold and the topics do not: same ids, bytes, keys, partitions and order.
 *
 *   hold the connector → boundary (snapshot + place in the log) → compare by id → write → slot to the place → connector
 *
 * Until the slot is moved, at the very end, nothing is lost by stopping: run again, it goes on behind what is there.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Topic } from '@ragline/schemas/topics';
import type { Kafka } from '@ragline/streams/kafka-client';
import { partitionOf } from '@ragline/streams/partition-of';
import { createTailClient, type KafkaAccess, type TailClient } from '@ragline/streams/tail-client';
import pg from 'pg';
import { inspectTopics } from '../../parts/apply-topics.ts';
import { withAdmin } from '../../parts/kafka.ts';
import type { TopicBounds } from '../topic-records.ts';
import { judged, openReader, readPresent } from './compare.ts';
import {
  type ConnectorOptions,
  holdConnector,
  releaseConnector,
  restartAtSlot,
  untilConnectAnswers,
} from './connector.ts';
import { noteBegun, noteEnded, notesIn, optionsOf, refuseLess } from './notes.ts';
import { createJudge, type Judge, type Late } from './plan.ts';
import { announceAgain, beginTopics, placeAgain, unplaced } from './positions.ts';
import { produceMissing, type Written } from './produce.ts';
import { recreateTopics } from './recreate.ts';
import { openBoundary, slotState } from './slot.ts';

export type RebuildOptions = {
  /** An administrator's connection string. */
  databaseUrl: string;
  kafka: Kafka;
  access: KafkaAccess;
  /** Its `cdcUrl` is the connection string of ragline_cdc, by which the outboxes are read. */
  connector: ConnectorOptions;
  slotName: string;
  /** All topics that the outboxes write to, and the outboxes' tables. */
  topics: readonly Topic[];
  tables: readonly string[];
  /** Names of topics to delete and make anew first. */
  recreate?: readonly string[];
  /** Topics of no outbox that are deleted and made anew with nothing on them. */
  empty?: readonly Topic[];
  /** Looks at what is younger only; without it at all that each topic would still hold. */
  since?: Date;
  /** Write also what is missing before something of its key that is there: it comes after that then. */
  evenIfLate?: boolean;
  /** Change nothing. */
  dryRun?: boolean;
  onProgress?: (text: string) => void;
};

export type TopicReport = {
  topic: string;
  /** Rows of the outbox that were there already, were written (or would be), and are beyond the topic's retention. */
  there: number;
  written: number;
  expired: number;
  late: number;
};

export type RebuildReport = {
  topics: TopicReport[];
  /** Where the connector goes on; null in a dry run. */
  lsn: string | null;
  /** Dead letters that are told again, since nobody has kept them. */
  letters_again: number;
  /** Seconds that writing took, and events written in each. */
  seconds: number;
  per_second: number;
};

/** Events are missing before others of their key: writing them now would put them in the wrong order. */
export class LateEventsError extends Error {
  override name = 'LateEventsError';
  readonly late: readonly Late[];

  constructor(late: readonly Late[], count: number) {
    const [first] = late;
    super(
      `${count} keys have events that are missing before others that are there (first: event ${first?.event_id} of ${first?.key} on ${first?.topic}). Nothing was written. --recreate makes the topics anew, in order; --even-if-late writes them behind the others`,
    );
    this.late = late;
  }
}

const stableWithinMs = 90_000;
const slotFreeWithinMs = 60_000;

export async function rebuild(options: RebuildOptions): Promise<RebuildReport> {
  const { databaseUrl, access, dryRun = false } = options;
  const admin = new pg.Client({ connectionString: databaseUrl, application_name: 'ragline-rebuild' });
  // It fails at its next query, and that is who hears of it.
  admin.on('error', () => {});
  await admin.connect();
  const client = createTailClient({ kafka: access, clientId: 'ragline-rebuild' });
  try {
    const { rows } = await admin.query<{ mine: boolean }>(
      "SELECT pg_try_advisory_lock(hashtextextended('ragline.rebuild', 0)) AS mine",
    );
    if (rows[0]?.mine !== true) throw new Error('Another rebuild is running');
    await refuseMissingTopics(options);
    if (!dryRun) await refuseLess(admin, optionsOf(askedBy(options)));
    return dryRun ? await look(options, client) : await held(options, client, admin);
  } finally {
    await client.close();
    await admin.end();
  }
}

/** What would be done, with everything running: what is on its way counts as missing. */
async function look(options: RebuildOptions, client: TailClient): Promise<RebuildReport> {
  const present = await readPresent(options, client, new Map());
  const reader = await openReader(options, undefined);
  try {
    const { counts } = await judged(reader, present);
    return reportOf(counts, { lsn: null, letters: 0, ms: 0 });
  } finally {
    await reader.close();
  }
}

/** Holds the connector and lets it go again, unless something was written that it must not come after. */
async function held(options: RebuildOptions, client: TailClient, admin: pg.Client): Promise<RebuildReport> {
  const { connector, onProgress = () => {} } = options;
  onProgress('waiting for Connect, stopping the connector');
  await untilConnectAnswers(connector);
  const before = await holdConnector(connector);
  const state = { hasChanged: false };
  try {
    return await written(options, client, admin, state);
  } catch (error) {
    if (!state.hasChanged) await releaseConnector(connector, before);
    throw error;
  }
}

async function written(
  options: RebuildOptions,
  client: TailClient,
  admin: pg.Client,
  state: { hasChanged: boolean },
): Promise<RebuildReport> {
  const { kafka, connector, slotName, topics, recreate = [], empty = [], onProgress = () => {} } = options;
  const names = topics.map(({ name }) => name);
  const anew = [...topics.filter(({ name }) => recreate.includes(name)), ...empty];
  // Once topics are made anew, to complete them is all that is left.
  const leftToDo = optionsOf({ ...askedBy(options), recreate: [], isRestored: false });
  const slotBefore = await untilSlotIsFree(admin, slotName);
  if (anew.length > 0) {
    onProgress(`making anew ${anew.map(({ name }) => name).join(', ')}`);
    const earlier = (await notesIn(admin)).unfinished;
    const change = {
      begin: async () => {
        await noteBegun(admin, optionsOf(askedBy(options)));
        state.hasChanged = true;
      },
      undo: async () => {
        await noteBegun(admin, earlier);
        state.hasChanged = false;
      },
    };
    await withAdmin(kafka, (it) => recreateTopics(it, anew, change));
    await noteBegun(admin, leftToDo);
  }
  await untilStable(client, names);
  const boundary = await openBoundary(connector.cdcUrl);
  try {
    const reader = await openReader(options, boundary.snapshot);
    try {
      const bounds = new Map<string, TopicBounds>();
      await beginTopics(admin, client, [...names, ...empty.map(({ name }) => name)]);
      const waiting = await unplaced(admin, names);
      onProgress('comparing outboxes and topics');
      const placed = new Map<string, Map<string, number>>();
      const present = await readPresent(options, client, bounds, (topic, id, offset) => {
        if (waiting.get(topic)?.has(id)) mapIn(placed, topic).set(id, offset);
      });
      const { counts, late } = await judged(reader, present);
      const lateCount = [...counts.values()].reduce((sum, it) => sum + it.late, 0);
      if (lateCount > 0 && options.evenIfLate !== true) throw new LateEventsError(late, lateCount);

      await noteBegun(admin, leftToDo);
      state.hasChanged = true;
      const began = performance.now();
      const judge = createJudge(present, partitionOf).judge;
      const total = [...counts.values()].reduce((sum, it) => sum + it.missing, 0);
      const onWritten = (count: number) => onProgress(`written ${count} of ${total}`);
      const done = await produceMissing({ kafka, reader, judge, bounds, asked: waiting, onWritten });
      const ms = performance.now() - began;
      await refuseStrangers(client, bounds, done);

      await placeAgain(admin, placed);
      await placeAgain(admin, done.places);
      const letters = await announceAgain(admin);
      const slotNow = await slotState(admin, slotName);
      if (slotNow?.active || slotNow?.confirmed !== slotBefore?.confirmed) {
        throw new Error(`The slot ${slotName} was read meanwhile: is the connector running? ${again}`);
      }
      onProgress('handing over to the connector');
      await boundary.handOver(slotName);
      await restartAtSlot(connector);
      await noteEnded(admin, options.since);
      return reportOf(counts, { lsn: boundary.lsn, letters, ms });
    } finally {
      await reader.close();
    }
  } finally {
    await boundary.close();
  }
}

const askedBy = ({ recreate = [], empty = [], since, evenIfLate = false }: RebuildOptions) => ({
  ...{ recreate, since, evenIfLate },
  isRestored: empty.length > 0,
});

const again = 'Run this again: what is there is not written twice';

async function refuseMissingTopics({ kafka, topics, recreate = [] }: RebuildOptions): Promise<void> {
  const states = await withAdmin(kafka, (it) => inspectTopics(it, topics));
  const missing = states.filter(({ partitions }) => partitions === null).map(({ topic }) => topic);
  const absent = missing.filter((name) => !recreate.includes(name));
  if (absent.length > 0) {
    throw new Error(`Topics are missing: ${absent.join(', ')}. Make them first: npx ragline topics apply`);
  }
}

/** A transaction that is still open on a topic, of a Connect that died, ends by its time-out; a new topic's leaders come in a moment. */
async function untilStable(client: TailClient, topics: readonly string[]): Promise<void> {
  const until = Date.now() + stableWithinMs;
  for (const topic of topics) {
    for (;;) {
      const fault = await openAt(client, topic).catch((error: unknown) => error);
      if (fault === undefined) break;
      if (Date.now() > until) throw fault;
      await pause(200);
    }
  }
}

/** The reason why a topic's end is not its end for everybody; undefined when it is. */
async function openAt(client: TailClient, topic: string): Promise<Error | undefined> {
  const stable = await client.stableEndOffsets(topic);
  const ends = await client.endOffsets(topic);
  const isStable = ends.every((end, partition) => stable[partition] === end);
  return isStable ? undefined : new Error(`A transaction stays open on ${topic}: who else writes to it?`);
}

async function untilSlotIsFree(admin: pg.Client, slotName: string) {
  const until = Date.now() + slotFreeWithinMs;
  for (;;) {
    const slot = await slotState(admin, slotName);
    if (!slot?.active) return slot;
    if (Date.now() > until) {
      throw new Error(
        `The slot ${slotName} is still being read, though the connector is stopped: see docs/operations/connector.md`,
      );
    }
    await pause(100);
  }
}

/** Places are counted, so nobody else may have written; the connector stands, and services have no right to. */
async function refuseStrangers(
  client: TailClient,
  bounds: ReadonlyMap<string, TopicBounds>,
  { perPartition }: Written,
): Promise<void> {
  for (const [topic, { ends }] of bounds) {
    const now = await client.endOffsets(topic);
    for (const [partition, end] of ends.entries()) {
      const should = end + (perPartition.get(topic)?.[partition] ?? 0);
      if (now[partition] !== should) {
        throw new Error(
          `${topic}/${partition} ends at ${now[partition]}, not ${should}: somebody else wrote to it. ${again}`,
        );
      }
    }
  }
}

function reportOf(
  counts: Judge['counts'],
  { lsn, letters, ms }: { lsn: string | null; letters: number; ms: number },
): RebuildReport {
  const topics = [...counts].map(([topic, { there, missing, expired, late }]) => ({
    ...{ topic, there, written: missing },
    ...{ expired, late },
  }));
  const total = topics.reduce((sum, it) => sum + it.written, 0);
  const seconds = Math.round(ms) / 1_000;
  const rate = seconds > 0 ? Math.round(total / seconds) : 0;
  return { topics, lsn, letters_again: letters, seconds, per_second: rate };
}

function mapIn(maps: Map<string, Map<string, number>>, name: string): Map<string, number> {
  const found = maps.get(name) ?? new Map<string, number>();
  maps.set(name, found);
  return found;
}
