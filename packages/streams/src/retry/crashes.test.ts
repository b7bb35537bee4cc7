import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'mocha';
import { PermanentError } from '../errors.ts';
import type { Work } from '../task.ts';
import { createCrashes, type RunStore } from './crashes.ts';

type Event = { offset: bigint; ends?: 'process' };

// What a test lets die asks on for a while whether the run before it has ended after all.
const opened: { close(): Promise<void> }[] = [];

describe('counting records that end the process', () => {
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((notes) => notes.close()));
  });

  it('asks nothing about any record after a clean end', async () => {
    const world = aWorld();
    const first = await world.run();
    await first.handle({ offset: 1n });
    await first.close();
    const second = await world.run();
    await second.handle({ offset: 2n });
    assert.deepEqual(world.asked, ['begin', 'end', 'begin']);
  });

  it('gives a record up that has ended the process three times, and blames no other', async () => {
    const world = aWorld();
    const deadly: Event = { offset: 3n, ends: 'process' };
    const innocents: Event[] = [{ offset: 2n }, { offset: 4n }];
    for (let start = 1; start <= 3; start += 1) {
      const run = await world.run();
      for (const event of innocents) assert.equal(await run.handle(event), 'handled');
      // It never returns: the process is gone.
      void run.handle(deadly);
      await world.settled();
      assert.equal(world.starts, start);
    }
    const last = await world.run();
    for (const event of innocents) assert.equal(await last.handle(event), 'handled');
    await assert.rejects(
      last.handle(deadly),
      (error) => error instanceof PermanentError && error.code === 'crashed',
    );
    assert.equal(world.starts, 3);
    // It is still counted: the process may end before its letter is stored, and it must not be started then.
    const again = await world.run();
    await assert.rejects(again.handle(deadly), /ended 3 times/);
    assert.equal(world.starts, 3);
    await again.settled(deadly);
    assert.equal(world.begun.size, 0);
  });

  it('starts a suspect alone in its process', async () => {
    const world = aWorld();
    void (await world.run()).handle({ offset: 3n, ends: 'process' });
    await world.settled();
    void (await world.run()).handle({ offset: 3n, ends: 'process' });
    await world.settled();

    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    const run = await world.run(gate);
    const before = run.handle({ offset: 9_999n });
    await world.settled();
    const suspect = run.handle({ offset: 3n });
    await world.settled();
    const behind = run.handle({ offset: 10_000n });
    await world.settled();
    assert.deepEqual(world.running, [9_999n]);
    open();
    await Promise.all([before, suspect, behind]);
    assert.deepEqual(world.order.slice(-3), [9_999n, 3n, 10_000n]);
  });

  it('hands no batch to a handler in which a suspect may be', async () => {
    const world = aWorld();
    void (await world.run()).handle({ offset: 3n, ends: 'process' });
    await world.settled();
    const run = await world.run();
    await assert.rejects(run.handleAll([{ offset: 3n }, { offset: 9_999n }]), /handled by itself/);
    assert.deepEqual(await run.handleAll([{ offset: 9_999n }]), ['handled']);
  });

  it('starts it once more an hour later where nothing is ever given up', async () => {
    const world = aWorld('wait');
    for (let start = 1; start <= 3; start += 1) {
      void (await world.run()).handle({ offset: 3n, ends: 'process' });
      await world.settled();
    }
    const run = await world.run();
    await assert.rejects(run.handle({ offset: 3n }), /ended 3 times/);
    await assert.rejects(run.handle({ offset: 3n }), /ended 3 times/);
    assert.equal(await run.handle({ offset: 4n }), 'handled');
    world.time.now += 3_600_000;
    // A release that mends it has come meanwhile.
    assert.equal(await run.handle({ offset: 3n }), 'handled');
    assert.equal(world.begun.size, 0);
  });

  it('starts nothing that has waited until its assignment was over', async () => {
    const world = aWorld();
    for (let start = 1; start <= 2; start += 1) {
      void (await world.run()).handle({ offset: 3n, ends: 'process' });
      await world.settled();
    }
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    const run = await world.run(gate);
    const before = run.handle({ offset: 9_999n });
    await world.settled();
    const aborter = new AbortController();
    const suspect = run.handle({ offset: 3n }, aborter.signal);
    const behind = run.handle({ offset: 10_000n }, aborter.signal);
    aborter.abort();
    open();
    await before;
    await assert.rejects(suspect, { name: 'AbortError' });
    await assert.rejects(behind, { name: 'AbortError' });
    assert.deepEqual(world.running, []);
    assert.equal(world.begun.get(3n)?.starts, 2);
  });

  it('does not take the end of a run that had lost its partition for a clean one', async () => {
    const world = aWorld();
    const first = await world.run();
    const second = await world.run();
    first.lost();
    await first.close();
    assert.equal(await world.endedLate(), false);
    await second.close();
    await world.run();
    assert.equal(world.unclean, 0);
  });

  it('ends a run that is closed while it is begun after its beginning, and begins none that is closed', async () => {
    const world = aWorld();
    const { notes } = world.notes();
    const opening = notes.open();
    await Promise.all([notes.close(), opening]);
    await notes.open();
    assert.deepEqual(world.asked, ['begin', 'end']);
    const never = world.notes().notes;
    await never.close();
    await never.open();
    assert.deepEqual(world.asked, ['begin', 'end']);
  });

  it('notes records no longer once the run before has ended, if late', async () => {
    const world = aWorld();
    const first = await world.run();
    const second = await world.run();
    await first.close();
    assert.equal(await world.endedLate(), true);
    await second.close();
    await world.run();
    assert.equal(world.unclean, 0);
  });
});

/** What Postgres would remember, and handlers that end the process by never returning. */
function aWorld(whenCrashed: 'give-up' | 'wait' = 'give-up') {
  const time = { now: 0 };
  const place = { topic: 'orders.v1', partition: 0 };
  const asked: string[] = [];
  const begun = new Map<bigint, { starts: number; runId: string }>();
  const order: bigint[] = [];
  let running: bigint[] = [];
  let starts = 0;
  let unclean = 0;
  let latest: { id: string; ended: boolean; before: string | undefined } | undefined;

  const store: RunStore = {
    async begin(_, id) {
      await turnOfTheLoop();
      asked.push('begin');
      unclean = latest === undefined || latest.ended ? 0 : unclean + 1;
      latest = { id, ended: false, before: latest?.ended === false ? latest.id : undefined };
      return { unclean, begun: new Map([...begun].map(([offset, it]) => [offset, it.starts])) };
    },
    endedLate: async () => latest?.before === undefined,
    async end(_, id) {
      asked.push('end');
      if (latest?.id === id) latest.ended = true;
      if (latest?.before === id) latest = { ...latest, before: undefined };
      for (const [offset, { runId }] of begun) if (runId === id) begun.delete(offset);
    },
    async start(_, runId, offset) {
      begun.set(offset, { starts: (begun.get(offset)?.starts ?? 1) + 1, runId });
    },
    async finish(_, offset) {
      begun.delete(offset);
    },
  };
  const quiet = { debug() {}, info() {}, warn() {}, error() {} };

  return {
    asked,
    begun,
    order,
    get running() {
      return running;
    },
    get starts() {
      return starts;
    },
    get unclean() {
      return unclean;
    },
    endedLate: () => store.endedLate(place, latest?.id ?? ''),
    time,
    settled: turnOfTheLoop,
    notes() {
      const bounds = async () => ({ committed: 0n, end: 20_000n });
      const options = { store, bounds, whenCrashed, groupId: 'test', log: quiet, now: () => time.now };
      const notes = createCrashes(options).notesOf<Event>(place, ({ offset }) => offset);
      opened.push(notes);
      return { notes };
    },
    /** A process of its own, whose handlers wait for the gate. */
    async run(gate: Promise<void> = Promise.resolve()) {
      running = [];
      const { notes } = this.notes();
      await notes.open();
      const work: Work<Event> = {
        admit: () => ({ offset: 0n }),
        identityOf: () => undefined,
        many: async (events) => events.map(() => 'handled'),
        async one({ offset, ends }) {
          running.push(offset);
          order.push(offset);
          if (ends === 'process') {
            starts += 1;
            return new Promise(() => {});
          }
          await gate;
          running = running.filter((it) => it !== offset);
          return 'handled';
        },
      };
      const guarded = notes.guard(work);
      const never = new AbortController().signal;
      const once = async () => undefined;
      const onceBatch = async (): Promise<never> => {
        throw new Error('not used');
      };
      return {
        handle: (event: Event, signal = never) => guarded.one(event, { signal, attempt: 1, once, onceBatch }),
        handleAll: async (events: Event[]) =>
          guarded.many?.(events, { signal: never, attempt: 1, once: onceBatch }),
        settled: ({ offset }: Event) => notes.settled(offset),
        lost: () => notes.lost(),
        close: () => notes.close(),
      };
    },
  };
}

const turnOfTheLoop = () => new Promise((resolve) => setImmediate(resolve));
