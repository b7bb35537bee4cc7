/** GET /internal/trace/{event_id}: the beginning of an event's path. The gateway composes the whole from all services. */
import type { Pool } from '@ragline/postgres/pool';
import { topics } from '@ragline/schemas/topics';
import type { Api } from '@ragline/web/api';
import { hasRole } from '@ragline/web/auth';
import { problem } from '@ragline/web/problems';
import { z } from 'zod';
import { eventTrace } from './shapes.ts';

type TraceRow = {
  topic: string;
  key: string;
  event_type: string;
  traceparent: string;
  occurred_at: Date;
  committed_at: Date;
};

export function addTraceRoute(api: Api, { pool }: { pool: Pool }): void {
  api.route(
    {
      method: 'get',
      path: '/internal/trace/{event_id}',
      summary: 'When an event was decided and written',
      description: 'Staff: events of their own tenant. Operator: any, by its ids and times alone.',
      tags: ['internal'],
      auth: ['staff', 'operator'],
      params: z.object({ event_id: z.uuid() }),
      responses: { 200: eventTrace },
    },
    async ({ params, principal }) => {
      const tenantId = hasRole(principal, 'operator') ? null : principal.tenant_id;
      const { rows } = await pool.query<TraceRow>('SELECT * FROM orders.trace_event($1, $2)', [
        params.event_id,
        tenantId,
      ]);
      const [found] = rows;
      if (found === undefined) throw problem('not_found');
      const { topic, key, event_type, traceparent, occurred_at, committed_at } = found;
      const order_id = topic === topics.orders.name ? key : null;
      return { status: 200, body: { order_id, topic, event_type, traceparent, occurred_at, committed_at } };
    },
  );
}
