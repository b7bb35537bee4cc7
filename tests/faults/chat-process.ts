/**
 * An instance of the answering side as a process of its own, which a test may kill. Its first argument says how, as
 * JSON: names of topics and group, its own name, the database, where its model is, and where it shall end itself.
 */
import { poolOf } from '@ragline/postgres/testing';
import { createMetrics } from '@ragline/runtime/metrics';
import { createModel } from '../../services/chat/src/model/create.ts';
import type { Failpoint } from '../../services/chat/src/turn/failpoint.ts';
import { quiet } from '../../services/chat/src/turn/scene.support.ts';
import { startInstance, type TurnNames } from '../../services/chat/src/turn/start.support.ts';

export type ChatProcess = {
  names: TurnNames;
  instance: string;
  database: string;
  modelUrl: string;
  /** The first time that it comes there, it is gone. */
  endsAt?: string;
};

const said = JSON.parse(process.argv[2] ?? '{}') as ChatProcess;
const model = await createModel(
  {
    provider: 'openai',
    apiKey: 'test',
    baseUrl: said.modelUrl,
    model: 'fake',
    fallbackModels: [],
    firstTokenMs: 10_000,
    stallMs: 30_000,
    contextTokens: 8_000,
  },
  {
    embedder: { embed: async () => [] },
    metrics: createMetrics({ service: 'test' }),
    log: quiet,
    record() {},
  },
);

const failpoint: Failpoint = async (name) => {
  if (name !== said.endsAt) return;
  process.kill(process.pid, 'SIGKILL');
  await new Promise(() => {});
};

await startInstance({
  names: said.names,
  pool: poolOf('ragline_chat', 6, said.database),
  instance: said.instance,
  model,
  failpoint,
  deadlineMs: 60_000,
});
process.send?.('ready');
