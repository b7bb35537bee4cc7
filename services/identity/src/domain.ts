/** The rules of identity, as pure functions: who may give which role, what a refresh token is worth, passwords. */
import type { Role } from '@ragline/web/principal';

/** A user as everybody sees it who may; the password's hash is not part of it. */
export type User = {
  id: string;
  tenant_id: string;
  email: string;
  name: string | null;
  roles: Role[];
  active: boolean;
  created_at: string;
  updated_at: string;
};

export type Tenant = { id: string; slug: string; name: string; created_at: string };

/** The tenant whose members may be operators of the whole system. */
export const operatorTenant = 'ragline';

/** One address, one spelling: trimmed, NFC, lower case. The local part too, as people expect of a sign-in. */
export function normalEmail(email: string): string {
  return email.trim().normalize('NFC').toLowerCase();
}

/** Sorted from the smallest role up, each once. */
export function normalRoles(roles: readonly Role[]): Role[] {
  const order: readonly Role[] = ['customer', 'staff', 'admin', 'operator'];
  return order.filter((role) => roles.includes(role));
}

// ── passwords ──

export const passwordLengthMin = 12;
export const passwordLengthMax = 256;

// Long enough to pass the length, and among the first that anybody tries.
const wellKnown = [
  'password1234',
  'passwordpassword',
  'qwertyuiop123',
  'qwertyuiopasdf',
  '123456789012',
  '1234567890123456',
  'administrator',
  'letmeinletmein',
  'iloveyouiloveyou',
  'changemechangeme',
  'correct horse battery staple',
  'correcthorsebatterystaple',
];

/**
 * What is wrong with a new password, or undefined.
 *
 * After NIST SP 800-63B: length counts in characters, everything may be in it, no rules of composition, but not
 * what is guessed first: well-known ones, the user's own address, few different characters.
 */
export function passwordFault(password: string, email: string): string | undefined {
  const text = normalPassword(password);
  const length = [...text].length;
  if (length < passwordLengthMin) return `must have at least ${passwordLengthMin} characters`;
  if (length > passwordLengthMax) return `must have at most ${passwordLengthMax} characters`;
  const lower = text.toLowerCase();
  const [localPart = ''] = email.split('@');
  if (lower === email || (localPart.length > 3 && lower.replaceAll(localPart, '').length < 4)) {
    return 'must not be made of the e-mail address';
  }
  if (wellKnown.includes(lower)) return 'is among the best known passwords';
  return new Set(lower).size < 4 ? 'has too few different characters' : undefined;
}

/** The same characters typed on different keyboards are the same password. */
export function normalPassword(password: string): string {
  return password.normalize('NFKC');
}

// ── refresh tokens ──

/** For so long a refresh token that was used gives its successor again. */
export const graceMs = 10_000;

export type RefreshState = {
  now: Date;
  /** Of the session, the sign-in that the token descends from. */
  session: { revoked: boolean; expires_at: Date };
  user: { active: boolean };
  token: { expires_at: Date; rotated_at: Date | null };
  /** Whether the successor was itself used; meaningless while the token was not rotated. */
  successorUsed: boolean;
};

export type RefreshDecision =
  /** First use: make a successor. */
  | { kind: 'rotate' }
  /** Used a moment ago, by another tab or with the answer lost: the same successor again. */
  | { kind: 'repeat' }
  /** Used by someone for whom it was not: one of the two holders is a thief, so the whole family ends. */
  | { kind: 'reuse' }
  | { kind: 'refuse'; reason: 'revoked' | 'expired' | 'inactive' };

/** What presenting a refresh token leads to. */
export function judgeRefresh({ now, session, user, token, successorUsed }: RefreshState): RefreshDecision {
  if (session.revoked) return { kind: 'refuse', reason: 'revoked' };
  if (session.expires_at <= now || token.expires_at <= now) return { kind: 'refuse', reason: 'expired' };
  if (!user.active) return { kind: 'refuse', reason: 'inactive' };
  if (token.rotated_at === null) return { kind: 'rotate' };
  const inGrace = now.getTime() - token.rotated_at.getTime() <= graceMs;
  return inGrace && !successorUsed ? { kind: 'repeat' } : { kind: 'reuse' };
}

// ── who may do what to whom ──

export type Actor = { roles: readonly Role[]; tenantSlug: string };
export type Refusal = { code: 'forbidden' | 'conflict'; detail: string };

/**
 * Whether an admin may set these roles on a user of the own tenant.
 *
 * Only an operator may make or unmake operators, only in the operators' tenant, and nobody else may touch one at
 * all: who could set an operator's password would be one.
 */
export function refuseRoles(
  actor: Actor,
  before: readonly Role[],
  after: readonly Role[],
): Refusal | undefined {
  const touchesOperator = before.includes('operator') || after.includes('operator');
  if (!touchesOperator) return undefined;
  if (actor.tenantSlug !== operatorTenant) {
    return { code: 'forbidden', detail: `Operators belong to the tenant ${operatorTenant} only.` };
  }
  if (!actor.roles.includes('operator')) {
    return { code: 'forbidden', detail: 'Only an operator may change who is one.' };
  }
  return undefined;
}

export type UserChange = { name?: string | null; roles?: Role[]; active?: boolean; password?: string };

export type ChangeEffects = {
  /** The sessions end, and every token of the user is void. */
  endsSessions: boolean;
  /** The sessions go on, but tokens that still carry the old roles are void. */
  voidsTokens: boolean;
  /** The tenant must have another active admin. */
  needsOtherAdmin: boolean;
};

/** What follows from a change of a user. A password ends the sessions even when it is the old one again: who
 * sets one may be getting rid of somebody. */
export function effectsOf(before: Pick<User, 'roles' | 'active'>, change: UserChange): ChangeEffects {
  const roles = change.roles ?? before.roles;
  const active = change.active ?? before.active;
  const losesRole = before.roles.some((role) => !roles.includes(role));
  const wasAdmin = before.active && before.roles.includes('admin');
  const endsSessions = (before.active && !active) || change.password !== undefined;
  return {
    endsSessions,
    voidsTokens: endsSessions || losesRole,
    needsOtherAdmin: wasAdmin && !(active && roles.includes('admin')),
  };
}
