import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { createWordEmbedder } from '../../../../services/chat/src/embedding/testing.ts';
import { judgeBeir, readBeir } from './beir.ts';

describe('a data set in BEIR’s format', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'beir-'));
    await mkdir(join(folder, 'qrels'));
    const lines = (rows: object[]) => `${rows.map((row) => JSON.stringify(row)).join('\n')}\n`;
    const corpus = [
      { _id: 'd1', title: 'Parking', text: 'behind the house' },
      { _id: 'd2', title: '', text: 'dogs on the terrace' },
      { _id: 'd3', title: 'Long', text: 'word '.repeat(2_000) },
    ];
    await writeFile(join(folder, 'corpus.jsonl'), lines(corpus));
    const queries = [
      { _id: 'q1', text: 'dogs terrace' },
      { _id: 'q2', text: 'parking' },
      { _id: 'q3', text: 'nobody judged this' },
    ];
    await writeFile(join(folder, 'queries.jsonl'), lines(queries));
    const qrels = 'query-id\tcorpus-id\tscore\nq1\td2\t1\nq2\td1\t2\nq2\td3\t0\n';
    await writeFile(join(folder, 'qrels', 'test.tsv'), qrels);
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('is read with what is judged of it, and nothing else', async () => {
    const { passages, queries } = await readBeir(folder);
    assert.equal(passages[0]?.text, 'Parking\nbehind the house');
    assert.deepEqual(
      queries.map(({ id, judgements }) => [id, Object.fromEntries(judgements)]),
      [
        ['q1', { d2: 1 }],
        ['q2', { d1: 2 }],
      ],
    );
  });

  it('is judged by the embedding model, a text that is too long by its beginning', async () => {
    const figures = await judgeBeir(await readBeir(folder), createWordEmbedder());
    assert.equal(figures.queries, 2);
    assert.equal(figures.ndcg_at_10, 1);
    assert.equal(figures.mrr_at_10, 1);
  });
});
