/**
 * The promise of the live plane as a property: over random schedules of reading, slow sockets, broken connections
 * and changes of instance, every client has everything it may have, once, in order, and nothing else.
 */
import { setImmediate as settled } from 'node:timers/promises';
import { describe, it } from 'mocha';
import { createClient, createInstance, type Rights } from './core.model.ts';
import { answers, createLog, notices, orders, type Random, randomFrom } from './log.model.ts';

// More schedules than the suite has time for: RAGLINE_SCHEDULES=5000.
const schedules = Number(process.env.RAGLINE_SCHEDULES ?? 30);

describe('live subscriptions over random schedules', () => {
  it('lose, double, reorder and mix up nothing', async function () {
    this.timeout(20_000 + schedules * 200);
    for (let seed = 1; seed <= schedules; seed += 1) {
      try {
        await run(randomFrom(seed));
      } catch (error) {
        throw new Error(`schedule ${seed}: ${error instanceof Error ? error.message : error}`, {
          cause: error,
        });
      }
    }
  });
});

async function run(random: Random): Promise<void> {
  const log = createLog(random);
  for (let i = 0; i < 20; i += 1) log.write();
  const instances = [createInstance(log, random, 20), createInstance(log, random, 3)];
  const instance = () => instances[random() < 0.5 ? 0 : 1] ?? instances[0];
  const clients = Array.from({ length: 14 }, (_, i) => {
    const rights = someRights(random);
    return createClient(log, rights, random() < 0.5 ? 'ws' : 'sse', `client ${i} of ${rights.tenant}`);
  });
  // A slow instance makes clients that come from the other one be ahead of it.
  const weights = [random(), random() * 0.5];

  for (let i = 0; i < 900; i += 1) {
    const client = clients[Math.floor(random() * clients.length)];
    const what = random();
    if (what < 0.15) log.write();
    else if (what < 0.3) instances[0]?.advance();
    else if (what < 0.3 + 0.15 * (weights[1] ?? 0)) instances[1]?.advance();
    else if (what < 0.6) instance()?.step();
    else if (what < 0.85) client?.read();
    else if (what < 0.9) client?.beat();
    else if (client?.isConnected()) {
      if (random() < 0.4) client.breakOff(random);
    } else {
      const to = instance();
      if (to !== undefined) client?.connect(to);
    }
    await settled();
    if (i % 50 === 0) for (const it of instances) it.check();
  }

  for (const client of clients) {
    const to = instance();
    if (!client.isConnected() && to !== undefined) client.connect(to);
  }
  for (let quiet = 0; quiet < 3; ) {
    let isBusy = false;
    for (const it of instances) {
      isBusy = !it.isAtEnd() || isBusy;
      it.advance();
    }
    for (let i = 0; i < 20; i += 1) for (const it of instances) it.step();
    for (const client of clients) {
      isBusy = client.pending() > 0 || isBusy;
      client.read();
    }
    await settled();
    quiet = isBusy ? 0 : quiet + 1;
  }
  for (const client of clients) client.check();
}

function someRights(random: Random): Rights {
  const tenant = `tenant${Math.floor(random() * 3)}`;
  const user = `user${Math.floor(random() * 3)}`;
  const key = `order${Math.floor(random() * 8)}`;
  const talk = `talk${Math.floor(random() * 8)}`;
  const kinds: Rights[] = [
    {
      tenant,
      selectors: [{ topic: orders, channel: 'orders', kind: 'tenant' }],
      mayHave: (it) => it.tenant === tenant && it.topic === orders,
    },
    {
      tenant,
      selectors: [{ topic: orders, channel: 'orders', kind: 'user', user }],
      mayHave: (it) => it.tenant === tenant && it.topic === orders && it.user === user,
    },
    {
      tenant,
      selectors: [{ topic: orders, channel: `orders:${key}`, kind: 'owned', key, user }],
      mayHave: (it) => it.tenant === tenant && it.topic === orders && it.user === user && it.key === key,
    },
    {
      tenant,
      selectors: [{ topic: orders, channel: `orders:${key}`, kind: 'key', key }],
      mayHave: (it) => it.tenant === tenant && it.topic === orders && it.key === key,
    },
    {
      tenant,
      selectors: [
        { topic: orders, channel: 'orders', kind: 'tenant' },
        { topic: notices, channel: 'notices', kind: 'user', user },
      ],
      mayHave: (it) =>
        it.tenant === tenant && (it.topic === orders || (it.topic === notices && it.user === user)),
    },
    {
      tenant,
      selectors: [{ topic: answers, channel: `conversation:${talk}`, kind: 'owned', key: talk, user }],
      mayHave: (it) => it.tenant === tenant && it.topic === answers && it.user === user && it.key === talk,
    },
    {
      tenant,
      selectors: [
        { topic: orders, channel: 'orders', kind: 'user', user },
        { topic: notices, channel: 'notices', kind: 'user', user },
        { topic: answers, channel: `conversation:${talk}`, kind: 'owned', key: talk, user },
      ],
      mayHave: (it) => it.tenant === tenant && it.user === user && (it.topic !== answers || it.key === talk),
    },
  ];
  const rights = kinds[Math.floor(random() * kinds.length)] ?? kinds[0];
  if (rights === undefined) throw new Error('no rights');
  // Every third event is of a kind that some have muted: never a gap, and nothing else is missing.
  const isChoosy = random() < 0.3;
  return isChoosy ? { ...rights, wants: (id) => Number(id.slice(1)) % 3 !== 0 } : rights;
}
