/** eval retrieval: what is found and answered of a set of questions, or of a data set in BEIR's format. */

import { createPool } from '@ragline/postgres/pool';
import { createLogger } from '@ragline/runtime/logger';
import { readSettings as readService } from '@ragline/runtime/settings';
import { type Command, Option } from 'commander';
import { createEmbedders } from '../../../services/chat/src/embedding/embedders.ts';
import { readEmbeddingSettings } from '../../../services/chat/src/embedding/settings.ts';
import { makeDatabase } from '../bench/retrieval/database.ts';
import { line, tell } from '../parts/numbers.ts';
import { readSettings, type Settings } from '../parts/settings.ts';
import { judgeBeir, readBeir } from './retrieval/beir.ts';
import { type SetName, sets } from './retrieval/golden.ts';
import { figuresOf, type Judged, judgeSet } from './retrieval/judge.ts';
import { metrics, openWorld } from './retrieval/world.ts';

const log = createLogger({ service: 'eval', level: 'error' });

export function register(evaluation: Command): void {
  evaluation
    .command('retrieval')
    .description(
      'Recall, MRR, nDCG and the accuracy of answers over a set of evals/retrieval; or of a BEIR data set.',
    )
    .addOption(new Option('--set <name>', 'which questions').choices(sets).default('golden'))
    .option('--beir <folder>', 'a folder with corpus.jsonl, queries.jsonl and qrels/')
    .option('--split <name>', 'which qrels of it', 'test')
    .option('--faults', 'print each question that was not answered as it should be')
    .action(async (options: { set: SetName; beir?: string; split: string; faults?: boolean }) => {
      const settings = await readSettings();
      if (options.beir === undefined) await evaluateSet(settings, options.set, options.faults === true);
      else await evaluateBeir(settings, options.beir, options.split);
    });
}

async function evaluateSet(settings: Settings, set: SetName, isTellingFaults: boolean): Promise<void> {
  const database = await makeDatabase(settings);
  const pool = createPool({ url: database.url, max: 4, applicationName: 'eval', log, metrics });
  try {
    const world = await openWorld(pool, settings.get('EMBEDDING_MODEL_DIR'));
    try {
      tell('retrieval: indexing the sample tenants');
      const judged = await judgeSet(world, set);
      if (isTellingFaults)
        for (const it of judged.filter(({ fault }) => fault !== undefined)) tell(faultText(it));
      line({
        eval: 'retrieval',
        set,
        model: world.embedder.model.id,
        ...rounded(figuresOf(judged)),
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
