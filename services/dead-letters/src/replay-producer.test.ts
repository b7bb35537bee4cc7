import assert from 'node:assert/strict';
import { createLogger } from '@ragline/runtime/logger';
import type { Producer } from '@ragline/streams/producer';
import { describe, it } from 'mocha';
import { NoTopic, replayProducer } from './replay-producer.ts';

const log = createLogger({ service: 'test', level: 'error' });
const record = { key: null, value: null };

describe('the producer of replays', () => {
  it('sends nothing to a topic that does not exist, and to the others all the same', async () => {
    const { producer, sent } = scene(['there']);
    await assert.rejects(producer.send('gone', [record]), NoTopic);
    await producer.send('there', [record]);
    assert.deepEqual([sent, await producer.exists('gone')], [['there'], false]);
  });

  it('gives up a send that hangs, and goes on with a new one; stopping waits for neither', async () => {
    const { producer, sent, started, hang } = scene(['a', 'b']);
    hang.add('a');
    await assert.rejects(producer.send('a', [record]), /within 20 ms/);
    await producer.send('b', [record]);
    assert.deepEqual([sent, started.count], [['b'], 2]);
    await producer.stop();
  });

  it('gives up looking for topics when Kafka is away', async () => {
    const { producer, kafka } = scene(['a']);
    kafka.isAway = true;
    await assert.rejects(producer.exists('a'), /within 20 ms/);
    kafka.isAway = false;
    assert.equal(await producer.exists('a'), true);
  });
});

function scene(topics: string[]) {
  const sent: string[] = [];
  const hang = new Set<string>();
  const started = { count: 0 };
  const kafka = { isAway: false };
  const never = new Promise<never>(() => {});
  const start = async (): Promise<Producer> => {
    started.count += 1;
    return {
      async send(topic) {
        if (hang.has(topic)) await never;
        sent.push(topic);
      },
      stop: async () => {},
    };
  };
  const admin = {
    connect: async () => {},
    disconnect: async () => {},
    listTopics: async () => (kafka.isAway ? never : topics),
  };
  const producer = replayProducer({ kafka: { admin: () => admin }, log, withinMs: 20, start });
  return { producer, sent, started, hang, kafka };
}
