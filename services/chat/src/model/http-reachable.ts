/** For who looks after the stack, on the service's own port; the gateway forwards no /internal path. */
import type { Api } from '@ragline/web/api';
import { z } from 'zod';
import { remembered } from '../retrieval/remembered.ts';
import { type ReachableSettings, reachable } from './reachable.ts';

// Whoever asks often asks the endpoint no more often than this.
const keptMs = 5_000;

export function addReachableRoute(api: Api, settings: ReachableSettings): void {
  const look = remembered({ keptMs, max: 1 }, () => reachable(settings));
  api.route(
    {
      method: 'get',
      path: '/internal/model',
      summary: 'Who answers, and whether it can be asked',
      tags: ['Internal'],
      auth: 'none',
      responses: {
        200: z.object({
          provider: z.enum(['offline', 'openai']),
          answers_by: z.string(),
          state: z.enum(['ok', 'warning', 'broken']),
          detail: z.string(),
          mend: z.string().nullable(),
        }),
      },
    },
    async () => ({ status: 200, body: await look('model') }),
  );
}
