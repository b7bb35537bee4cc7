/** The golden set against the floors that it must not fall below. */
import assert from 'node:assert/strict';
import { poolOf, scratchDatabase } from '@ragline/postgres/testing';
import { figuresOf, judgeSet } from './judge.ts';
import type { SampleTenant } from './samples.ts';
import { openWorld } from './world.ts';

// Below the figures of `ragline eval retrieval` by two or three questions.
const floors = {
  recall_at_5: 0.83,
  recall_at_10: 0.88,
  mrr_at_10: 0.77,
  ndcg_at_10: 0.79,
  answer_accuracy: 0.76,
  abstain_accuracy: 0.76,
  answer_or_abstain_accuracy: 0.8,
} as const;

export async function assertFloors(tenants: readonly SampleTenant[]): Promise<void> {
  const database = await scratchDatabase();
  const pool = poolOf('ragline_chat', 4, database.name);
  const world = await openWorld(pool, process.env.EMBEDDING_MODEL_DIR ?? '');
  try {
    const judged = await judgeSet(world, 'golden', tenants);
    const figures = figuresOf(judged);
    const faults = judged.flatMap(({ question, fault }) => (fault ? [`${question.question}: ${fault}`] : []));
    for (const name of Object.keys(floors) as (keyof typeof floors)[]) {
      const text = `${name} is ${figures[name]}, its floor ${floors[name]}\n${faults.join('\n')}`;
      assert.ok(figures[name] >= floors[name], text);
    }
  } finally {
    await world.stop();
    await pool.end();
    await database.drop();
  }
}
