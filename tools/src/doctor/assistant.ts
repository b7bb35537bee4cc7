/** The assistant: whether its model can be asked, and whether every chunk can be found by the model that is searched by. */
import { readRunningEnv } from '../../../infra/local/state.ts';
import { type AssistantModel, askModel } from '../parts/assistant-model.ts';
import type { Check, Verdict } from './check.ts';
import { withClient } from './database.ts';

/** So many may be on their way to the model while documents come in. */
const missingWarn = 1_000;

export type Known = { model: string; chunks: number; missing: number };

/** Asks the chat service, which has the key, to ask its endpoint. */
export function modelCheck(env = readRunningEnv() ?? {}): Check {
  return {
    name: 'model',
    mend: 'npm start    (where its chat service does not answer)',
    async run() {
      const url = env.URL_CHAT_1;
      if (url === undefined) return { state: 'skipped', detail: 'cannot be told: no chat service runs here' };
      return verdictOf(await askModel(url));
    },
  };
}

/** A stack whose model cannot be asked takes orders, and its assistant answers nobody. */
export function verdictOf({ answers_by, state, detail, mend }: AssistantModel): Verdict {
  return { state, detail: `${answers_by}: ${detail}`, ...(mend === null ? {} : { mend }) };
}

export const assistantCheck: Check = {
  name: 'knowledge',
  needs: ['postgres', 'migrations'],
  mend: 'npx ragline knowledge coverage    (what is missing is filled by the chat service, while it runs and its model answers)',
  run: (settings) =>
    withClient(settings, async (client) => {
      const { rows } = await client.query<{ id: string; table_name: string }>(
        "SELECT id, table_name FROM chat.embedding_model WHERE state = 'active'",
      );
      const [model] = rows;
      if (!model)
        return { detail: 'no model is searched by yet: the chat service chooses one at its first start' };
      const { rows: counts } = await client.query<Omit<Known, 'model'>>(
        `SELECT count(*)::int AS chunks, (count(*) - count(e.chunk_id))::int AS missing
           FROM chat.chunk c LEFT JOIN chat.${client.escapeIdentifier(model.table_name)} e
             ON e.chunk_id = c.id AND e.content_hash = c.content_hash`,
      );
      const known = { model: model.id, chunks: counts[0]?.chunks ?? 0, missing: counts[0]?.missing ?? 0 };
      return { state: known.missing > missingWarn ? 'warning' : 'ok', detail: describeKnown(known) };
    }),
};

/** `280 chunks, 12 of them without a vector of minilm_l6_v2 yet`. */
export function describeKnown({ model, chunks, missing }: Known): string {
  const have = missing === 0 ? 'all with a vector' : `${missing} of them without a vector`;
  return `${chunks} chunks, ${have} of ${model}${missing === 0 ? '' : ' yet'}`;
}
