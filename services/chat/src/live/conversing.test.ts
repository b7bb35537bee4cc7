import assert from 'node:assert/strict';
import type { Principal } from '@ragline/web/principal';
import { problem } from '@ragline/web/problems';
import { describe, it } from 'mocha';
import { eventually } from '../../../../tests/support/eventually.ts';
import { createConversing } from './conversing.ts';
import type { ServerMessage, SocketCloseReason } from './protocol.ts';

type Parts = Parameters<typeof createConversing>[0];

const me: Principal = {
  ...{ tenant_id: 't', user_id: 'u', roles: ['customer'], session_id: 's', token_id: 'x' },
  ...{ issued_at: Date.now(), expires_at: Date.now() + 3_600_000 },
};

/** A client whose rights end when `revoke` is called, though nobody tells it so. */
function aClient() {
  const told: ServerMessage[] = [];
  const closed: SocketCloseReason[] = [];
  let isRevoked = false;
  let readers = 0;
  const requireRights = () => {
    if (isRevoked) throw problem('unauthenticated');
  };
  const parts = {
    admission: {
      requireRights,
      enter() {
        requireRights();
        readers += 1;
        return {
          leave() {
            readers -= 1;
          },
        };
      },
    },
    credentials: { verify: async () => me },
    ...{ feed: {}, answers: {}, conversations: {}, requests: {}, flood: undefined, heartbeatMs: 1_000 },
    log: { debug() {}, info() {}, warn() {}, error() {} },
  };
  const wire = {
    async send(message: ServerMessage) {
      told.push(message);
      return true;
    },
    close: (reason: SocketCloseReason) => void closed.push(reason),
  };
  // The rest is not reached.
  const client = createConversing(parts as unknown as Parts, wire, me);
  return {
    ...{ client, told, closed, readers: () => readers },
    revoke(): void {
      isRevoked = true;
    },
  };
}

describe('a socket whose rights end', () => {
  it('is closed when its new token is let in no more', async () => {
    const { client, closed, revoke } = aClient();
    revoke();
    client.message(JSON.stringify({ type: 'auth', id: 1, token: 'x' }));
    await eventually(() => assert.deepEqual(closed, ['unauthenticated']));
    client.end();
  });

  it('gets nothing done, though nobody has closed it yet', async () => {
    const { client, told, revoke, readers } = aClient();
    revoke();
    const conversation_id = '01890000-0000-7000-8000-000000000000';
    client.message(JSON.stringify({ type: 'subscribe', id: 1, conversation_id }));
    client.message(JSON.stringify({ type: 'message', id: 2, conversation_id, content: 'Hello' }));
    client.message(JSON.stringify({ type: 'stop', id: 3, conversation_id }));
    await eventually(() => assert.equal(told.length, 4));
    for (const message of told.slice(1)) assert.ok('code' in message && message.code === 'unauthenticated');
    client.end();
    assert.equal(readers(), 0);
  });
});
