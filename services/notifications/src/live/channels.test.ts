import assert from 'node:assert/strict';
import type { Principal, Role } from '@ragline/web/auth';
import { describe, it } from 'mocha';
import { type Channel, channelFrom, selectorsOf, withoutOverlap } from './channels.ts';

const orderId = '019a0000-0000-7000-8000-000000000009';

describe('channels', () => {
  it('give customers their own, and staff their tenant’s', () => {
    assert.deepEqual(kindsOf('orders', 'customer'), ['user:u']);
    assert.deepEqual(kindsOf('orders', 'staff'), ['tenant']);
    assert.deepEqual(kindsOf('orders', 'admin'), ['tenant']);
    assert.deepEqual(kindsOf(`orders:${orderId}`, 'customer'), ['owned:u']);
    assert.deepEqual(kindsOf(`orders:${orderId}`, 'staff'), ['key']);
    assert.deepEqual(kindsOf('notifications', 'customer'), ['user:u']);
    assert.deepEqual(kindsOf('notifications', 'admin'), ['user:u', 'user:']);
  });

  it('give an operator no rights in a tenant', () => {
    assert.deepEqual(kindsOf('orders', 'operator'), ['user:u']);
  });

  it('give a conversation to its owner alone, whatever the role', () => {
    for (const role of ['customer', 'staff', 'admin', 'operator'] as const) {
      assert.deepEqual(kindsOf(`conversation:${orderId}`, role), ['owned:u']);
    }
  });

  it('are none under any other name', () => {
    for (const name of [
      '',
      'order',
      'orders:',
      'orders:x',
      `orders:${orderId}x`,
      'conversation',
      'conversation:',
      `conversations:${orderId}`,
      `conversation:${orderId}x`,
      `orders:${orderId} conversation:${orderId}`,
      'Orders',
    ]) {
      assert.equal(channelFrom(name), undefined, name);
    }
  });

  it('do not overlap on one stream', () => {
    const named = (names: string[]) => names.map(channelFrom).filter((it): it is Channel => it !== undefined);
    const left = (names: string[]) => withoutOverlap(named(names)).map((it) => it.name);
    assert.deepEqual(left(['orders', `orders:${orderId}`, 'notifications', 'orders']), [
      'orders',
      'notifications',
    ]);
    assert.deepEqual(left([`orders:${orderId}`]), [`orders:${orderId}`]);
  });
});

function kindsOf(name: string, role: Role): string[] {
  const principal: Principal = {
    tenant_id: 't',
    user_id: 'u',
    roles: [role],
    session_id: 's',
    token_id: 'j',
    issued_at: 0,
    expires_at: 0,
  };
  const channel = channelFrom(name);
  if (channel === undefined) return [];
  return selectorsOf(channel, principal).map((it) => ('user' in it ? `${it.kind}:${it.user}` : it.kind));
}
