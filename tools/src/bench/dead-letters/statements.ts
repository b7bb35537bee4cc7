/** Statements that a consumer sends with 1 % of its keys failing, by what they are for. */
import type pg from 'pg';
import { line, round, tell } from '../../parts/numbers.ts';
import type { Settings } from '../../parts/settings.ts';
import { connect, dropTopics, fillTopic, makeDatabase, makeTopics, newGroup } from './kit.ts';
import { makeEffectTable, runOurs } from './throughput.ts';

const share = 0.01;

export async function measureStatements(settings: Settings, records: number): Promise<void> {
  const kafka = connect(settings);
  const topic = `${newGroup().groupId}-orders`;
  await makeTopics(kafka, [topic]);
  const database = await makeDatabase(settings);
  try {
    await makeEffectTable(database.owner);
    const filled = await fillTopic(settings, kafka, topic, records, Math.min(10_000, records));
    tell(`statements: ${records} records`);
    const counts = new Map<string, number>();
    const { seconds } = await runOurs({ settings, kafka, topic, filled, database }, share, (pool) => {
      pool.on('connect', (client) => countIn(client, counts));
    });
    report(counts, records, seconds);
  } finally {
    await dropTopics(kafka, [topic], []);
    await database.drop();
  }
}

// What a record that is handled costs by itself: a transaction with the claim (the fence is in it) and its effect.
const ofEffects = ['BEGIN', 'ragline_parking_claim', 'bench_effect', 'COMMIT'];

function report(counts: ReadonlyMap<string, number>, records: number, seconds: number): void {
  const healthy = counts.get('bench_effect') ?? 0;
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const effects = [...counts]
    .filter(([name]) => ofEffects.some((it) => name.startsWith(it)))
    .reduce((sum, [, count]) => sum + count, 0);
  line({
    bench: 'dead-letters',
    part: 'statements',
    records,
    failing_keys: share,
    healthy_records: healthy,
    statements: total,
    of_effects_per_healthy_record: round(effects / healthy, 3),
    of_parking: total - effects,
    of_parking_share: round((total - effects) / total, 4),
    per_s: Math.round(records / seconds),
    by_statement: Object.fromEntries([...counts].sort((a, b) => b[1] - a[1]).slice(0, 16)),
  });
}

/** Counts by the prepared statement's name, or by its first words. */
function countIn(client: pg.PoolClient, counts: Map<string, number>): void {
  const send = client.query;
  const counted = (...args: Parameters<typeof send>) => {
    const [query] = args;
    const name = nameOf(query);
    counts.set(name, (counts.get(name) ?? 0) + 1);
    return Reflect.apply(send, client, args);
  };
  Reflect.set(client, 'query', counted);
}

function nameOf(query: unknown): string {
  if (typeof query === 'string') return wordsOf(query);
  if (typeof query !== 'object' || query === null) return 'unknown';
  if ('name' in query && typeof query.name === 'string') return query.name;
  return 'text' in query && typeof query.text === 'string' ? wordsOf(query.text) : 'unknown';
}

const wordsOf = (text: string) => text.trim().split(/\s+/).slice(0, 4).join(' ');
