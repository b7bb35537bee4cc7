/** Managing users: an admin's business in the own tenant. */
import { randomUUIDv7 } from 'node:crypto';
import { type Client, inTenant, type Pool } from '@ragline/postgres/pool';
import type { Principal, Role } from '@ragline/web/principal';
import { hasRole } from '@ragline/web/principal';
import { problem } from '@ragline/web/problems';
import {
  type Actor,
  effectsOf,
  normalEmail,
  normalRoles,
  passwordFault,
  refuseRoles,
  type User,
  type UserChange,
} from './domain.ts';
import { hashPassword } from './passwords.ts';
import type { RevocationReason, Revocations } from './revocations.ts';
import { openSession } from './session-store.ts';
import type { Turns } from './turns.ts';
import * as store from './user-store.ts';

export type UsersParts = { pool: Pool; turns: Turns; revocations: Revocations };
export type UserDraft = { email: string; password: string; name?: string | null; roles: Role[] };

export type Users = ReturnType<typeof users>;

export function users({ pool, turns, revocations }: UsersParts) {
  return {
    /** One page and a row more. Throws Problem when the caller is no admin any more. */
    list: (principal: Principal, after: string | undefined, limit: number): Promise<User[]> =>
      inTenant(pool, principal.tenant_id, async (client) => {
        await adminOf(client, principal);
        return store.listUsers(client, principal.tenant_id, after, limit);
      }),

    get: (principal: Principal, id: string): Promise<User> =>
      inTenant(pool, principal.tenant_id, async (client) => {
        await adminOf(client, principal);
        return found(await store.findUser(client, principal.tenant_id, id));
      }),

    /** The part of creating that takes long, before any transaction is open. */
    draft: (input: UserDraft): Promise<Prepared> => prepareUser(input, turns),

    /** Creates in the caller's transaction. */
    async create(client: Client, principal: Principal, draft: Prepared): Promise<User> {
      const actor = await adminOf(client, principal);
      const refusal = refuseRoles(actor, [], draft.roles);
      if (refusal) throw problem(refusal.code, refusal.detail);
      return insertPrepared(client, principal.tenant_id, draft);
    },

    /** Changes a user. What that means for sessions and tokens is told in the same transaction. */
    async change(principal: Principal, id: string, change: UserChange): Promise<User> {
      const announce = await revocations.ready();
      const roles = change.roles && normalRoles(change.roles);
      // Hashed ahead, since a row that is locked for the time of a hash holds up everybody's refresh.
      const password_hash =
        change.password === undefined
          ? undefined
          : await turns.run(() => hashPassword(change.password ?? ''));

      return inTenant(pool, principal.tenant_id, async (client) => {
        await store.lockTenant(client, principal.tenant_id);
        const actor = await adminOf(client, principal);
        const before = found(await store.lockUser(client, principal.tenant_id, id));
        const refusal = refuseRoles(actor, before.roles, roles ?? before.roles);
        if (refusal) throw problem(refusal.code, refusal.detail);
        if (change.password !== undefined) assertPassword(change.password, before.email, 'password');

        const effects = effectsOf(before, { ...change, ...(roles && { roles }) });
        if (effects.needsOtherAdmin && !(await store.hasOtherAdmin(client, principal.tenant_id, id))) {
          throw problem('conflict', 'A tenant keeps at least one active admin.');
        }
        const reason = reasonOf(before, change);
        const { user, voided_at } = await store.updateUser(
          client,
          before,
          { ...change, ...(roles && { roles }), ...(password_hash && { password_hash }) },
          effects,
          reason,
        );
        if (voided_at !== undefined) {
          const { tenant_id } = principal;
          await announce(client, {
            tenant_id,
            user_id: id,
            session_id: null,
            occurred_at: voided_at,
            reason,
          });
        }
        return user;
      });
    },
  };
}

export type Prepared = { email: string; name: string | null; roles: Role[]; password_hash: string };

/** Judges and hashes. Throws Problem `invalid` for a password that may not be. */
export async function prepareUser(input: UserDraft, turns: Turns, path = 'password'): Promise<Prepared> {
  const email = normalEmail(input.email);
  assertPassword(input.password, email, path);
  const password_hash = await turns.run(() => hashPassword(input.password));
  return { email, name: input.name ?? null, roles: normalRoles(input.roles), password_hash };
}

/** Throws Problem `conflict` when the address is taken. */
export async function insertPrepared(client: Client, tenantId: string, draft: Prepared): Promise<User> {
  const user = await store.insertUser(client, { ...draft, id: randomUUIDv7(), tenant_id: tenantId });
  if (user === undefined) throw problem('conflict', 'This tenant has a user with that e-mail address.');
  return user;
}

/**
 * The caller as an admin of today: the token may be 15 minutes old, and managing users is no thing to do with
 * rights that were taken away.
 */
async function adminOf(client: Client, principal: Principal): Promise<Actor> {
  const session = await openSession(client, principal);
  if (session === undefined) throw problem('unauthenticated', 'This session has ended.');
  if (!hasRole(session, 'admin')) throw problem('forbidden');
  return { roles: session.roles, tenantSlug: session.tenant_slug };
}

function assertPassword(password: string, email: string, path: string): void {
  const fault = passwordFault(password, email);
  if (fault !== undefined) throw problem('invalid', undefined, { errors: [{ path, message: fault }] });
}

function reasonOf(before: User, change: UserChange): RevocationReason {
  if (before.active && change.active === false) return 'deactivated';
  return change.password === undefined ? 'roles_taken' : 'password_changed';
}

function found<T extends User>(user: T | undefined): T {
  if (user === undefined) throw problem('not_found');
  return user;
}
