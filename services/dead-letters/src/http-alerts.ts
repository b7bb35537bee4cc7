/** REST of alerts: an operator's are about the letters of all, an admin's about those of the tenant. */
import type { Client, Pool } from '@ragline/postgres/pool';
import type { Api } from '@ragline/web/api';
import { text, timestamp, uuid } from '@ragline/web/fields';
import type { Principal } from '@ragline/web/principal';
import { problem } from '@ragline/web/problems';
import { z } from 'zod';
import { alertKinds, eachGroup } from './alert-rules.ts';
import { type Alert, alertStore } from './alert-store.ts';
import { type Action, actorOf, recordActions } from './audit.ts';
import { mayRead, noBody, scopeOf, tags } from './http.ts';
import { inScope, type Scope } from './scope.ts';

const rulesMax = 200;
const silenceDaysMax = 30;
const dayS = 86_400;

const threshold = z.number().positive().max(1e12);
const ruleFields = {
  kind: z.enum(alertKinds).meta({
    description: 'volume: letters that wait; oldest_age: seconds; failure_rate: letters a minute.',
  }),
  group: text(255, 1)
    .nullable()
    .meta({
      description: `A consumer group; ${eachGroup} for each by itself; null for all together.`,
    }),
  raise_at: threshold,
  clear_below: threshold.meta({ description: 'At most raise_at; between the two nothing changes.' }),
  raise_after_s: z.int().min(0).max(dayS).meta({ description: 'How long the value must stay up.' }),
  clear_after_s: z.int().min(0).max(dayS).meta({ description: 'How long it must stay down.' }),
};
const givenRule = z
  .strictObject({
    ...ruleFields,
    raise_after_s: ruleFields.raise_after_s.default(60),
    clear_after_s: ruleFields.clear_after_s.default(300),
  })
  .refine((rule) => rule.clear_below <= rule.raise_at, {
    path: ['clear_below'],
    message: 'must not be above raise_at',
  });
const rulesBody = z.strictObject({
  rules: z
    .array(givenRule)
    .max(rulesMax)
    .refine(
      (rules) => new Set(rules.map(({ kind, group }) => JSON.stringify([kind, group]))).size === rules.length,
      {
        message: 'has two rules of the same kind and group',
      },
    ),
});

const alertShape = z
  .object({
    id: uuid,
    kind: z.enum(alertKinds),
    group: z.string().nullable(),
    state: z.enum(['raised', 'cleared']),
    value: z.number().meta({ description: 'As measured last.' }),
    threshold: z.number(),
    raised_at: z.iso.datetime(),
    cleared_at: z.iso.datetime().nullable(),
    acknowledged_at: z.iso.datetime().nullable(),
    acknowledged_by: uuid.nullable(),
    silenced_until: z.iso.datetime().nullable(),
    silenced_by: uuid.nullable(),
  })
  .meta({ id: 'DeadLetterAlert' });
const answerShape = z.object({
  rules: z.array(z.object({ id: uuid, ...ruleFields })),
  alerts: z.array(alertShape).meta({ description: 'Raised ones first, then the last that were cleared.' }),
});

export function addAlertRoutes(api: Api, { pool }: { pool: Pool }): void {
  const store = alertStore();

  const show = async (scope: Scope) =>
    inScope(pool, scope, async (client) => {
      const rules = await store.rules(client);
      const alerts = await store.list(client);
      const isOwn = (one: { tenant_id: string | null }) => one.tenant_id === scope.tenant_id;
      return {
        rules: rules.filter(isOwn).map(({ tenant_id: _, ...rule }) => rule),
        alerts: alerts.filter(isOwn).map(shown),
      };
    });

  api.route(
    {
      method: 'get',
      path: '/v1/dead-letters/alerts',
      summary: 'Rules of alerts, and the alerts that are raised',
      tags,
      auth: mayRead,
      responses: { 200: answerShape },
    },
    async ({ principal }) => ({ status: 200, body: await show(scopeOf(principal)) }),
  );

  api.route(
    {
      method: 'put',
      path: '/v1/dead-letters/alerts',
      summary: 'Replace all rules',
      description: 'What a rule raised that is there no longer is cleared.',
      tags,
      auth: mayRead,
      body: rulesBody,
      responses: { 200: answerShape },
    },
    async ({ body: { rules }, principal }) => {
      const scope = scopeOf(principal);
      await inScope(pool, scope, async (client) => {
        await store.setRules(client, scope.tenant_id, rules);
        await audit(client, principal, { verb: 'alert_rules', detail: { rules } });
      });
      return { status: 200, body: await show(scope) };
    },
  );

  api.route(
    {
      method: 'post',
      path: '/v1/dead-letters/alerts/{id}/acknowledge',
      summary: 'Say that somebody looks at it',
      description: 'A second time changes nothing. What was not told of yet will not be.',
      tags,
      auth: mayRead,
      params: z.object({ id: uuid.meta({ description: 'Of the alert.' }) }),
      body: noBody,
      responses: { 200: alertShape },
    },
    async ({ params: { id }, principal }) => {
      const scope = scopeOf(principal);
      const alert = await inScope(pool, scope, async (client) => {
        const found = own(scope, await store.acknowledge(client, id, principal.user_id));
        await audit(client, principal, { verb: 'alert_acknowledge', alert_id: id });
        return found;
      });
      return { status: 200, body: shown(alert) };
    },
  );

  api.route(
    {
      method: 'post',
      path: '/v1/dead-letters/alerts/{id}/silence',
      summary: 'No message about it until then',
      description: `At most ${silenceDaysMax} days; null ends the silence. If it is raised anew meanwhile, that is silent too.`,
      tags,
      auth: mayRead,
      params: z.object({ id: uuid.meta({ description: 'Of the alert.' }) }),
      body: z.strictObject({ until: timestamp.nullable() }),
      responses: { 200: alertShape },
    },
    async ({ params: { id }, body, principal }) => {
      const scope = scopeOf(principal);
      const until = body.until === null ? null : new Date(body.until);
      checkUntil(until);
      const alert = await inScope(pool, scope, async (client) => {
        const found = own(scope, await store.silence(client, id, { until, userId: principal.user_id }));
        await audit(client, principal, { verb: 'alert_silence', alert_id: id, detail: { until } });
        return found;
      });
      return { status: 200, body: shown(alert) };
    },
  );
}

async function audit(client: Client, principal: Principal, action: Omit<Action, 'tenant_id'>): Promise<void> {
  const actor = actorOf(principal);
  await recordActions(client, actor, [{ ...action, tenant_id: actor.scope.tenant_id }]);
}

function checkUntil(until: Date | null): void {
  if (until === null) return;
  const aheadMs = until.getTime() - Date.now();
  if (aheadMs > 0 && aheadMs <= silenceDaysMax * dayS * 1_000) return;
  const message = `must be in the future, and at most ${silenceDaysMax} days ahead`;
  throw problem('invalid', undefined, { errors: [{ path: 'until', message }] });
}

/** An operator sees the rows of all tenants, but their alerts are theirs. Thrown in the transaction, which undoes it. */
function own(scope: Scope, alert: Alert | undefined): Alert {
  if (alert === undefined || alert.tenant_id !== scope.tenant_id) throw problem('not_found');
  return alert;
}

function shown(alert: Alert) {
  const { tenant_id: _, pending_since: __, below_since: ___, ...rest } = alert;
  return rest;
}
