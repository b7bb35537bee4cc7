/** Cursor messages, made once for all who are at the same place: heartbeats and storms ask for it thousands of times. */
import type { Fanout } from './fanout.ts';
import { messageFrame, sseCursor } from './frames.ts';
import { channelsOf, type Subscription } from './subscription.ts';

const framesMax = 1_000;

/** Where a LIVE subscription is, so that a client which breaks off before the first event can resume too. */
export function createCursorFrames(fanout: Pick<Fanout, 'cursor' | 'version'>) {
  const known = new Map<string, Buffer>();
  let version = -1;

  return (subscription: Subscription): Buffer => {
    if (version !== fanout.version()) known.clear();
    version = fanout.version();
    const { outlet, topics } = subscription;
    const channels = channelsOf(subscription);
    const name = `${outlet.format} ${topics.join('+')} ${channels.join(' ')}`;
    const made = known.get(name);
    if (made !== undefined) return made;
    const cursor = fanout.cursor(topics, null);
    const frames =
      outlet.format === 'sse'
        ? [sseCursor(cursor)]
        : channels.map((channel) => messageFrame('ws', { type: 'cursor', channel, cursor }));
    const frame = Buffer.concat(frames);
    // Nothing moves for hours at night, while anyone may name orders without end.
    if (known.size >= framesMax) known.clear();
    known.set(name, frame);
    return frame;
  };
}
