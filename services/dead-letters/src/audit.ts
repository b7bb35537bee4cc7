/** Who did what: written with the deed, in its transaction, and never changed. */
import { randomUUIDv7 } from 'node:crypto';
import type { Client } from '@ragline/postgres/pool';
import { hasRole, type Principal } from '@ragline/web/principal';
import type { LetterRow } from './letter.ts';
import type { Scope } from './scope.ts';

/** Somebody who acts: who it is, and whose letters that one reaches. */
export type Actor = { user_id: string; tenant_id: string; scope: Scope };

export function actorOf(principal: Principal): Actor {
  const { user_id, tenant_id } = principal;
  return {
    user_id,
    tenant_id,
    scope: { tenant_id: hasRole(principal, 'operator') ? null : tenant_id, user_id },
  };
}

export type Verb =
  | 'edit'
  | 'note'
  | 'replay'
  | 'discard'
  | 'restore'
  | 'release'
  | 'batch_create'
  | 'batch_pause'
  | 'batch_resume'
  | 'batch_cancel'
  | 'export'
  | 'alert_rules'
  | 'alert_acknowledge'
  | 'alert_silence';

/** `tenant_id`: of what was acted on; null is the operator's alone. */
export type Action = {
  verb: Verb;
  letter_id?: string;
  batch_id?: string | null;
  alert_id?: string;
  group_id?: string;
  tenant_id: string | null;
  detail?: Record<string, unknown>;
};

/** Appends the actions, in one statement. */
export async function recordActions(
  client: Client,
  actor: Pick<Actor, 'user_id' | 'tenant_id'>,
  actions: readonly Action[],
): Promise<void> {
  if (actions.length === 0) return;
  await client.query({
    name: 'dead_letters_record_actions',
    text: `INSERT INTO dead_letters.action
             (id, actor_user_id, actor_tenant_id, verb, letter_id, batch_id, group_id, tenant_id, detail, alert_id)
           SELECT id, $1, $2, verb, letter_id, batch_id, group_id, tenant_id, detail, alert_id
             FROM unnest($3::uuid[], $4::text[], $5::uuid[], $6::uuid[], $7::text[], $8::uuid[], $9::jsonb[], $10::uuid[])
               AS a (id, verb, letter_id, batch_id, group_id, tenant_id, detail, alert_id)`,
    values: [
      actor.user_id,
      actor.tenant_id,
      actions.map(() => randomUUIDv7()),
      actions.map(({ verb }) => verb),
      actions.map(({ letter_id }) => letter_id ?? null),
      actions.map(({ batch_id }) => batch_id ?? null),
      actions.map(({ group_id }) => group_id ?? null),
      actions.map(({ tenant_id }) => tenant_id),
      actions.map(({ detail }) => JSON.stringify(detail ?? {})),
      actions.map(({ alert_id }) => alert_id ?? null),
    ],
  });
}

/** The action on a letter. */
export function actionOn(
  { id, group_id, tenant_id }: Pick<LetterRow, 'id' | 'group_id' | 'tenant_id'>,
  verb: Verb,
  more: Pick<Action, 'batch_id' | 'detail'> = {},
): Action {
  return { verb, letter_id: id, group_id, tenant_id, ...more };
}

export type ActionRow = { id: string; at: Date; user_id: string | null; verb: string; detail: unknown };

const shownMax = 200;

/** What was done to a letter, oldest first; the last 200. */
export async function actionsOf(client: Client, letterId: string): Promise<ActionRow[]> {
  const { rows } = await client.query<ActionRow>({
    name: 'dead_letters_actions_of',
    text: `SELECT id, at, actor_user_id AS user_id, verb, detail FROM dead_letters.action
            WHERE letter_id = $1 ORDER BY id DESC LIMIT ${shownMax}`,
    values: [letterId],
  });
  return rows.reverse();
}
