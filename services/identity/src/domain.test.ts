import assert from 'node:assert/strict';
import type { Role } from '@ragline/web/principal';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import {
  type Actor,
  effectsOf,
  graceMs,
  judgeRefresh,
  normalEmail,
  normalRoles,
  passwordFault,
  type RefreshState,
  refuseRoles,
} from './domain.ts';

const now = new Date('2026-01-05T12:00:00.000Z');
const later = (ms: number): Date => new Date(now.getTime() + ms);

describe('using a refresh token', () => {
  const fresh: RefreshState = {
    now,
    session: { revoked: false, expires_at: later(1_000_000) },
    user: { active: true },
    token: { expires_at: later(1_000_000), rotated_at: null },
    successorUsed: false,
  };
  const used = (ms: number, successorUsed = false): RefreshState => ({
    ...fresh,
    token: { ...fresh.token, rotated_at: later(-ms) },
    successorUsed,
  });

  const cases: [string, RefreshState, string][] = [
    ['a fresh token', fresh, 'rotate'],
    ['used a moment ago', used(0), 'repeat'],
    ['used 9.999 s ago', used(graceMs - 1), 'repeat'],
    ['used 10 s ago to the millisecond', used(graceMs), 'repeat'],
    ['used 10.001 s ago', used(graceMs + 1), 'reuse'],
    ['used a moment ago, its successor too', used(0, true), 'reuse'],
    ['used long ago', used(500_000), 'reuse'],
    ['of a session that was ended', { ...fresh, session: { ...fresh.session, revoked: true } }, 'revoked'],
    [
      'reused after its session was ended',
      { ...used(0, true), session: { ...fresh.session, revoked: true } },
      'revoked',
    ],
    ['of a session that is over', { ...fresh, session: { ...fresh.session, expires_at: now } }, 'expired'],
    ['that is too old itself', { ...fresh, token: { ...fresh.token, expires_at: now } }, 'expired'],
    ['of a user who is not active', { ...fresh, user: { active: false } }, 'inactive'],
  ];
  for (const [name, state, expected] of cases) {
    it(`${name}: ${expected}`, () => {
      const decision = judgeRefresh(state);
      assert.equal(decision.kind === 'refuse' ? decision.reason : decision.kind, expected);
    });
  }
});

describe('giving roles', () => {
  const admin: Actor = { roles: ['admin'], tenantSlug: 'demo' };
  const opsAdmin: Actor = { roles: ['admin'], tenantSlug: 'ragline' };
  const opsOperator: Actor = { roles: ['admin', 'operator'], tenantSlug: 'ragline' };
  const strayOperator: Actor = { roles: ['admin', 'operator'], tenantSlug: 'demo' };

  const cases: [string, Actor, Role[], Role[], boolean][] = [
    ['an admin makes staff', admin, [], ['staff'], true],
    ['an admin makes another admin', admin, ['customer'], ['admin'], true],
    ['an admin makes an operator', admin, [], ['operator'], false],
    ['an admin of the operators makes an operator', opsAdmin, [], ['operator'], false],
    ['an admin of the operators takes operator away', opsAdmin, ['operator'], ['customer'], false],
    ['an admin of the operators changes an operator otherwise', opsAdmin, ['operator'], ['operator'], false],
    ['an operator makes an operator', opsOperator, [], ['operator'], true],
    ['an operator outside the tenant ragline makes an operator', strayOperator, [], ['operator'], false],
  ];
  for (const [name, actor, before, after, allowed] of cases) {
    it(`${name}: ${allowed ? 'allowed' : 'forbidden'}`, () => {
      assert.equal(refuseRoles(actor, before, after)?.code, allowed ? undefined : 'forbidden');
    });
  }

  it('keeps roles in one order and each once', () => {
    assert.deepEqual(normalRoles(['admin', 'customer', 'admin']), ['customer', 'admin']);
  });
});

describe('changing a user', () => {
  const staff = { roles: ['staff'] as Role[], active: true };
  const admin = { roles: ['admin'] as Role[], active: true };
  const none = { endsSessions: false, voidsTokens: false, needsOtherAdmin: false };

  const cases: [string, Parameters<typeof effectsOf>, Partial<typeof none>][] = [
    ['a new name', [staff, { name: 'Sam' }], {}],
    ['one role more', [staff, { roles: ['staff', 'admin'] }], {}],
    ['another role instead', [staff, { roles: ['customer'] }], { voidsTokens: true }],
    ['deactivation', [staff, { active: false }], { endsSessions: true, voidsTokens: true }],
    ['activation', [{ ...staff, active: false }, { active: true }], {}],
    ['a password', [staff, { password: 'x' }], { endsSessions: true, voidsTokens: true }],
    ['an admin becoming staff', [admin, { roles: ['staff'] }], { voidsTokens: true, needsOtherAdmin: true }],
    [
      'an admin deactivated',
      [admin, { active: false }],
      { endsSessions: true, voidsTokens: true, needsOtherAdmin: true },
    ],
    [
      'an admin that was not active losing the role',
      [{ ...admin, active: false }, { roles: ['staff'] }],
      { voidsTokens: true },
    ],
  ];
  for (const [name, args, expected] of cases) {
    it(`${name}: ${Object.keys(expected).join(', ') || 'nothing follows'}`, () => {
      assert.deepEqual(effectsOf(...args), { ...none, ...expected });
    });
  }
});

describe('a new password', () => {
  const email = 'carla@demo.example';
  const cases: [string, string, RegExp | undefined][] = [
    ['12 characters', 'tulip-47-oak', undefined],
    ['11 characters', 'tulip-47-oa', /at least 12/],
    ['12 characters outside the basic plane', '😀😁😂🤣😃😄😅😆😉😊😋😎', undefined],
    ['256 characters', `${'ab-cd '.repeat(42)}wxyz`, undefined],
    ['257 characters', `${'ab-cd '.repeat(42)}wxyz!`, /at most 256/],
    ['only lower case letters', 'windmillforest', undefined],
    ['spaces within', 'a horse in the rain', undefined],
    ['a well-known one', 'Password1234', /best known/],
    ['the address itself', 'carla@demo.example', /e-mail/],
    ['the name three times', 'carlacarlacarla', /e-mail/],
    ['one character', 'aaaaaaaaaaaaaaa', /too few/],
  ];
  for (const [name, password, fault] of cases) {
    it(`${name}: ${fault ? `refused (${fault.source})` : 'accepted'}`, () => {
      const found = passwordFault(password, email);
      if (fault === undefined) assert.equal(found, undefined);
      else assert.match(found ?? '', fault);
    });
  }
});

describe('an e-mail address', () => {
  it('is the same however it is spelled', () => {
    assert.equal(normalEmail('  Zo\u0065\u0308@Demo.Example '), normalEmail('zo\u00eb@demo.example'));
  });
  it('stays the same when it is normalised again', () => {
    fc.assert(
      fc.property(fc.emailAddress(), (email) => normalEmail(normalEmail(email)) === normalEmail(email)),
    );
  });
});
