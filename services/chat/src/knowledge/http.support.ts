/** For tests: the knowledge's REST on a free port, and callers of tenants of their own. */
import { randomUUID } from 'node:crypto';
import { createHealth } from '@ragline/runtime/health';
import { readSettings } from '@ragline/runtime/settings';
import { createCodec } from '@ragline/schemas/codec';
import { createApi } from '@ragline/web/api';
import { createApp } from '@ragline/web/app';
import { createAuthentication } from '@ragline/web/auth';
import { startServer } from '@ragline/web/server';
import { httpTo } from '../../../../tests/support/http.ts';
import { stack } from '../../../../tests/support/stack.ts';
import { startTokens } from '../../../../tests/support/tokens.ts';
import type { Embedder } from '../embedding/embedder.ts';
import { type IndexScene, quietLog } from './knowledge.support.ts';
import { createKnowledge } from './knowledge.ts';
import { readKnowledgeSettings } from './settings.ts';

export type KnowledgeHttp = Awaited<ReturnType<typeof startKnowledgeHttp>>;

/** @param others models that the process is set up for beside the scene's */
export async function startKnowledgeHttp(
  scene: IndexScene,
  environment: Record<string, string> = {},
  others: readonly Embedder[] = [],
) {
  const tokens = await startTokens();
  const codec = createCodec({ registryUrl: stack().registryUrl });
  const settings = readSettings(environment, readKnowledgeSettings);
  const set = [scene.embedder, ...others];
  const embedders = { of: (id: string) => set.find(({ model }) => model.id === id) };
  const { pool, metrics } = scene;
  const knowledge = createKnowledge({ settings, pool, codec, embedders, log: quietLog, metrics });
  const api = createApi({ title: 'test', authentication: createAuthentication({ ...tokens.settings }) });
  knowledge.addRoutes(api);
  const { app } = createApp({ service: 'chat', log: quietLog, metrics, health: createHealth(), api });
  const server = await startServer({ handler: app, port: 0, host: '127.0.0.1', log: quietLog });
  const http = httpTo(`http://127.0.0.1:${server.port}`);

  return {
    knowledge,
    async caller(roles: string[], tenant_id: string = randomUUID()) {
      const token = await tokens.token({ tenant_id, user_id: randomUUID(), roles });
      const call = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
        http(method, path, { token, headers, ...(body === undefined ? {} : { body }) });
      return { tenant_id, call };
    },
    async stop() {
      await server.close();
      await tokens.stop();
    },
  };
}
