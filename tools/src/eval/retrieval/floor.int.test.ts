import assert from 'node:assert/strict';
import { poolOf, scratchDatabase } from '@ragline/postgres/testing';
import { describe, it } from 'mocha';
import { goldenFigures, judgeGolden } from './judge.ts';
import { openWorld } from './world.ts';

describe('the golden set', () => {
  it('is found and answered as well as it was', async () => {
    const database = await scratchDatabase();
    const pool = poolOf('ragline_chat', 4, database.name);
    const world = await openWorld(pool, process.env.EMBEDDING_MODEL_DIR ?? '');
    try {
      const judged = await judgeGolden(world);
      const figures = goldenFigures(judged);
      const faults = judged.flatMap(({ question, fault }) =>
        fault ? [`${question.question}: ${fault}`] : [],
      );
      const floors: Partial<typeof figures> = {
        recall_at_5: 0.85,
        recall_at_10: 0.88,
        mrr_at_10: 0.8,
        ndcg_at_10: 0.82,
        answer_accuracy: 0.86,
        abstain_accuracy: 0.94,
        answer_or_abstain_accuracy: 0.92,
      };
      for (const [name, floor] of Object.entries(floors)) {
        const figure = figures[name as keyof typeof figures];
        assert.ok(figure >= floor, `${name} is ${figure}, not ${floor}\n${faults.join('\n')}`);
      }
      assert.ok(figures.questions >= 60 && figures.unanswerable >= figures.questions / 5);
    } finally {
      await world.stop();
      await pool.end();
      await database.drop();
    }
  });
});
