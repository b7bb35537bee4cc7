/** eval retrieval: what is found and answered of the golden set, or of a data set in BEIR's format. */

import { createPool } from '@ragline/postgres/pool';
import { createLogger } from '@ragline/runtime/logger';
import { readSettings as readService } from '@ragline/runtime/settings';
import type { Command } from 'commander';
import { createEmbedders } from '../../../services/chat/src/embedding/embedders.ts';
import { readEmbeddingSettings } from '../../../services/chat/src/embedding/settings.ts';
import { line, tell } from '../bench/parts/numbers.ts';
import { makeDatabase } from '../bench/retrieval/database.ts';
import { readSettings, type Settings } from '../parts/settings.ts';
import { judgeBeir, readBeir } from './retrieval/beir.ts';
import { goldenFigures, type Judged, judgeGolden } from './retrieval/judge.ts';
import { metrics, openWorld } from './retrieval/world.ts';

const log = createLogger({ service: 'eval', level: 'error' });

export function register(evaluation: Command): void {
  evaluation
    .command('retrieval')
    .description(
      'Recall, MRR, nDCG and the accuracy of answers over the golden set in evals/retrieval; or of a BEIR data set.',
    )
    .option('--beir <folder>', 'a folder with corpus.jsonl, queries.jsonl and qrels/')
    .option('--split <name>', 'which qrels of it', 'test')
    .option('--faults', 'print each question that was not answered as it should be')
    .action(async (options: { beir?: string; split: string; faults?: boolean }) => {
      const settings = await readSettings();
      if (options.beir === undefined) await evaluateGolden(settings, options.faults === true);
      else await evaluateBeir(settings, options.beir, options.split);
    });
}

async function evaluateGolden(settings: Settings, isTellingFaults: boolean): Promise<void> {
  const database = await makeDatabase(settings);
  const pool = createPool({ url: database.url, max: 4, applicationName: 'eval', log, metrics });
  try {
    const world = await openWorld(pool, settings.get('EMBEDDING_MODEL_DIR'));
    try {
      tell('retrieval: indexing the sample tenants');
      const judged = await judgeGolden(world);
      if (isTellingFaults)
        for (const it of judged.filter(({ fault }) => fault !== undefined)) tell(faultText(it));
      line({
        eval: 'retrieval',
        set: 'golden',
        model: world.embedder.model.id,
        ...rounded(goldenFigures(judged)),
      });
    } finally {
      await world.stop();
    }
  } finally {
    await pool.end();
    await database.drop();
  }
}

async function evaluateBeir(settings: Settings, folder: string, split: string): Promise<void> {
  const env = { ...process.env, EMBEDDING_MODEL_DIR: settings.find('EMBEDDING_MODEL_DIR') };
  const embedders = createEmbedders(readService(env, readEmbeddingSettings), { log, metrics });
  try {
    const set = await readBeir(folder, split);
    tell(`retrieval: ${set.passages.length} passages, ${set.queries.length} queries`);
    const figures = await judgeBeir(set, embedders.preferred, (done) => {
      if (done % 6_400 === 0) tell(`retrieval: ${done} passages are read`);
    });
    line({ eval: 'retrieval', set: folder, model: embedders.preferred.model.id, ...rounded(figures) });
  } finally {
    await embedders.stop();
  }
}

function faultText({ question, fault, answer, ranking }: Judged): string {
  const found = ranking.slice(0, 3).join(' | ');
  return `${question.id} ${question.question}\n  ${fault}; found: ${found}\n  ${answer.text.split('\n\nOff')[0]?.replaceAll('\n', ' ')}`;
}

function rounded(figures: Record<string, number>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(figures).map(([name, value]) => [name, Math.round(value * 1_000) / 1_000]),
  );
}
