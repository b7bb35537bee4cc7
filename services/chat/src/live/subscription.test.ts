import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { createCursorSealer } from '@ragline/streams/cursor';
import { describe, it } from 'mocha';
import type { ShownEvent } from './event.ts';
import { createPlaces } from './place.ts';
import { frameOf } from './sse.ts';
import { createSubscription } from './subscription.ts';

const address = { tenant_id: 't', user_id: 'u', conversation_id: 'c' };

function anEvent(sequence: number, changes: Partial<ShownEvent> = {}): ShownEvent {
  return {
    ...{ event_id: randomUUIDv7(), event_type: 'message_delta', occurred_at: '2026-01-01T00:00:00.000Z' },
    ...{ ...address, turn_id: 'turn', message_id: 'message', generation: 1, sequence },
    ...changes,
  };
}

function opened({ bytesMax = 10_000 } = {}) {
  let closes = 0;
  const subscription = createSubscription(address, {
    isWanted: () => true,
    bytesMax,
    onClose() {
      closes += 1;
    },
  });
  let next = 10;
  return {
    subscription,
    closes: () => closes,
    live(event: ShownEvent, size = 100): void {
      next += 1;
      subscription.live(event, { epoch: 1, next }, size);
    },
    /** Sequences of what waits, and how it goes on. */
    async taken(): Promise<(number | string)[]> {
      const all: (number | string)[] = [];
      for (;;) {
        const item = await subscription.take(0);
        if (item.kind === 'event') all.push(item.event.sequence);
        else if (item.kind === 'gap') all.push(item.reason);
        else return [...all, item.kind === 'closed' ? item.reason : item.kind];
      }
    },
  };
}

describe('a subscription', () => {
  it('gives each event of a turn once, in order', async () => {
    const { live, taken } = opened();
    for (const sequence of [1, 2, 2, 1, 3]) live(anEvent(sequence));
    assert.deepEqual(await taken(), [1, 2, 3, 'idle']);
  });

  it('drops what an older worker writes once a younger one has begun', async () => {
    const { live, taken } = opened();
    live(anEvent(1));
    live(anEvent(1, { generation: 2 }));
    live(anEvent(2));
    live(anEvent(2, { generation: 2 }));
    assert.deepEqual(await taken(), [1, 1, 2, 'idle']);
  });

  it('keeps turns apart', async () => {
    const { live, taken } = opened();
    live(anEvent(5));
    live(anEvent(1, { turn_id: 'next' }));
    assert.deepEqual(await taken(), [5, 1, 'idle']);
  });

  it("gives nothing of another user's or tenant's, whatever its key", async () => {
    const { live, taken } = opened();
    live(anEvent(1, { user_id: 'other' }));
    live(anEvent(2, { tenant_id: 'other' }));
    assert.deepEqual(await taken(), ['idle']);
  });

  it('puts what is read again before what came live meanwhile, and tells nothing twice', async () => {
    const { subscription, live, taken } = opened();
    subscription.begin({ epoch: 1, next: 5, last: undefined });
    subscription.holdBack();
    live(anEvent(3));
    live(anEvent(4));
    for (const [next, sequence] of [1, 2, 3].entries())
      subscription.again(anEvent(sequence), { epoch: 1, next }, 100);
    subscription.caughtUp();
    assert.deepEqual(await taken(), [1, 2, 3, 4, 'idle']);
  });

  it('tells nothing again to who comes back to an instance that is behind', async () => {
    const { subscription, live, taken } = opened();
    subscription.begin({ epoch: 1, next: 12, last: undefined });
    live(anEvent(1)); // 11
    live(anEvent(2)); // 12
    live(anEvent(3)); // 13
    assert.deepEqual(await taken(), [3, 'idle']);
  });

  it('lets a reader go for whom too much waits', async () => {
    const { live, taken, closes } = opened({ bytesMax: 2_000 });
    for (const sequence of [1, 2, 3]) live(anEvent(sequence), 700);
    assert.deepEqual(await taken(), ['tooSlow']);
    assert.equal(closes(), 1);
  });

  it('wakes who waits', async () => {
    const { subscription, live } = opened();
    const taking = subscription.take(5_000);
    live(anEvent(1));
    assert.equal((await taking).kind, 'event');
    const ending = subscription.take(5_000);
    subscription.close('closed');
    assert.equal((await ending).kind, 'closed');
  });
});

describe('places in a conversation', () => {
  const places = createPlaces(createCursorSealer({ keys: '1:a-secret-of-the-tests' }));
  const place = { epoch: 3, next: 2 ** 33, last: { turn: 7, generation: 2, sequence: 9 } };

  it('come back as they were sealed', () => {
    assert.deepEqual(places.open('c', places.seal('c', place)), place);
    const fresh = { ...place, last: undefined };
    assert.deepEqual(places.open('c', places.seal('c', fresh)), fresh);
  });

  it('are of one conversation, and of no other kind of cursor', () => {
    assert.equal(places.open('d', places.seal('c', place)), undefined);
    const other = createCursorSealer({ keys: '1:a-secret-of-the-tests' });
    assert.equal(places.open('c', other.seal([{ epoch: 3, next: [1, 2, 3] }])), undefined);
    assert.equal(places.open('c', 'forged'), undefined);
  });
});

describe('a frame of a stream', () => {
  it('is one event of three lines, whatever the text says', () => {
    const frame = frameOf('message_delta', { text: 'one\n\nevent: two\r\n' }, 'id');
    assert.deepEqual(frame.split('\n'), [
      'id: id',
      'event: message_delta',
      'data: {"text":"one\\n\\nevent: two\\r\\n"}',
      '',
      '',
    ]);
  });
});
