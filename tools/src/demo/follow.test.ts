import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { hasHandled } from './follow.ts';

describe('a record of the demo', () => {
  const told = (group: string, outcome: string) => ({ group, outcome, attempts: 1, at: '' });

  it('is handled once the group that failed has handled it, whatever others did', () => {
    assert.equal(hasHandled({ groups: [told('webhooks', 'ignored')] }), false);
    assert.equal(
      hasHandled({ groups: [told('webhooks', 'ignored'), told('notifications', 'parked')] }),
      false,
    );
    assert.equal(
      hasHandled({ groups: [told('webhooks', 'ignored'), told('notifications', 'notified')] }),
      true,
    );
  });

  it('is not handled while no group has told of it', () => {
    assert.equal(hasHandled({}), false);
    assert.equal(hasHandled({ groups: [] }), false);
  });
});
