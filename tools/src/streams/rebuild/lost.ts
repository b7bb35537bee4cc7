/** Whether topics have lost what the outboxes hold: asked before a connector writes new events to them. */
import type { Topic } from '@ragline/schemas/topics';
import { createTailClient, type KafkaAccess } from '@ragline/streams/tail-client';
import pg from 'pg';
import { readNotes } from './notes.ts';

export type LostOptions = {
  /** An administrator's connection string. */
  databaseUrl: string;
  /** That of ragline_cdc, which may read the outboxes. */
  cdcUrl: string;
  access: KafkaAccess;
  /** Topics that the outboxes write to, and the outboxes' tables. */
  topics: readonly Topic[];
  tables: readonly string[];
  /** How old an event must be to be missed: a running connector needs a moment. 0. */
  olderThanMs?: number;
};

export type Lost = {
  /** Topics on which there has never been anything, though they would still keep events of their outbox. */
  empty: string[];
  /** Options of a rebuild that was interrupted; undefined when none was. */
  unfinished: string | undefined;
};

/** What a topic ought to have kept at the very edge of its retention is not missed. */
const edgeMs = 10 * 60_000;

/** Undefined when nothing is known to be lost. A topic that lost its beginning alone is what `reconcile` finds. */
export async function findLost(options: LostOptions): Promise<Lost | undefined> {
  const { unfinished, completeFrom } = await readNotes(options.databaseUrl);
  const empty = await emptyOf(options, completeFrom);
  return unfinished === undefined && empty.length === 0 ? undefined : { empty, unfinished };
}

async function emptyOf(options: LostOptions, completeFrom: Date | undefined): Promise<string[]> {
  const { access, topics, tables, cdcUrl, olderThanMs = 0 } = options;
  const client = createTailClient({ kafka: access, clientId: 'ragline-lost' });
  const bare: Topic[] = [];
  try {
    for (const topic of topics) {
      const ends = await client.endOffsets(topic.name);
      if (ends.every((end) => end === 0)) bare.push(topic);
    }
  } finally {
    await client.close();
  }
  if (bare.length === 0) return [];
  const db = new pg.Client({ connectionString: cdcUrl, application_name: 'ragline-lost' });
  db.on('error', () => {});
  await db.connect();
  try {
    const empty: string[] = [];
    for (const topic of bare) {
      const since = Math.max(Date.now() - topic.retentionMs + edgeMs, completeFrom?.getTime() ?? 0);
      const window = [topic.name, new Date(since), new Date(Date.now() - olderThanMs)];
      for (const table of outboxesOf(topic, tables)) {
        const { rowCount } = await db.query(
          `SELECT FROM ${table} o WHERE o.aggregatetype = $1 AND o.created_at BETWEEN $2 AND $3 LIMIT 1`,
          window,
        );
        if (rowCount !== 0) empty.push(topic.name);
      }
    }
    return empty.sort();
  } finally {
    await db.end();
  }
}

/** Its owner's: another one's need not be searched, which has no such row and no index that says so. */
function outboxesOf({ owner }: Topic, tables: readonly string[]): readonly string[] {
  const own = tables.filter((table) => table.split('.')[0] === owner.replaceAll('-', '_'));
  return own.length > 0 ? own : tables;
}

/** For a person: what was found, and the command that mends it. */
export function tellLost({ empty, unfinished }: Lost): string {
  if (unfinished !== undefined) {
    const options = unfinished === '' ? '' : ` ${unfinished}`;
    return `A rebuild of topics was interrupted. Go on with it: npx ragline streams rebuild${options} --yes`;
  }
  return `Kafka has nothing on ${empty.join(', ')}, though the outboxes hold events: its disk was lost, or no connector has carried them yet. npx ragline streams rebuild --yes does right in both cases: it writes them and starts the connector behind them; see docs/operations/kafka-lost.md`;
}
