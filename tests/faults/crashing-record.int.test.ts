import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { textHeaders } from '@ragline/streams/record';
import { tierTopicOf } from '@ragline/streams/retry/names';
import { openScene } from '@ragline/streams/testing';
import type { IHeaders } from 'kafkajs';
import { after, describe, it } from 'mocha';
import pg from 'pg';
import { eventually } from '../support/eventually.ts';
import { stack } from '../support/stack.ts';

const delaysMs = [200, 400];

describe('a record that ends the process', function () {
  this.timeout(170_000);
  const children = new Set<ChildProcess>();
  after(() => {
    for (const child of children) child.kill('SIGKILL');
  });

  it('is a dead letter after three starts, and costs no other record anything', async () => {
    const scene = await openScene({ partitions: 2, delaysMs });
    try {
      const group = aGroup(scene.groupId, scene.topic, 'by-key');
      const deadly = scene.anEvent({}, 'the-same');
      const follower = scene.anEvent({}, 'the-same');
      const others = Array.from({ length: 30 }, () => scene.anEvent());
      const [half, rest] = [others.slice(0, 15), others.slice(15)];
      await scene.send([...half, { ...deadly, headers: crashing(deadly) }, follower, ...rest]);
      assert.equal(await group.untilItLives(), 3);
      const [letter] = await scene.letters(1);
      const headers = textHeaders(letter?.headers ?? {});
      assert.deepEqual([headers.id, headers['error-code']], [deadly.event.event_id, 'crashed']);
      assert.deepEqual(letter?.value, deadly.value);

      const expected = [...others, follower].map(({ event }) => event.event_id).sort();
      await eventually(() => assert.deepEqual([...new Set(group.handled)].sort(), expected));
      await group.stop();
      const { rows } = await group.notes(scene);
      assert.deepEqual(rows, [{ begun: 0, unended: 0 }]);
    } finally {
      await scene.close();
    }
  });

  it('is counted when it is sent back before it is mended, too, and its followers wait for it', async () => {
    const scene = await openScene({ partitions: 1, delaysMs });
    const operators = new pg.Pool({
      connectionString: stack().databaseUrlOf('ragline_dead_letters'),
      max: 1,
    });
    try {
      const group = aGroup(scene.groupId, scene.topic, 'by-key', 'wait');
      const deadly = scene.anEvent({}, 'the-same');
      const others = Array.from({ length: 5 }, () => scene.anEvent());
      await scene.send([{ ...deadly, headers: crashing(deadly) }, scene.anEvent({}, 'the-same'), ...others]);
      assert.equal(await group.untilItLives(), 3);
      const [letter] = await scene.letters(1);
      const record = textHeaders(letter?.headers ?? {})['parked-record'];

      const { rows } = await operators.query('SELECT status FROM streams.replay_parked(NULL, $1)', [
        [record],
      ]);
      assert.deepEqual(rows, [{ status: 'replaying' }]);
      // The process that lives dies of it, and those after it: not for ever.
      await group.died();
      assert.ok((await group.untilItLives()) <= 2);
      const letters = await scene.letters(2);
      const codes = letters.map(({ headers }) => textHeaders(headers)['error-code']);
      assert.deepEqual(codes, ['crashed', 'crashed']);
      assert.deepEqual(
        [...new Set(group.handled)].sort(),
        others.map(({ event }) => event.event_id).sort(),
        'its follower waits',
      );
      await group.stop();
      const left = await group.notes(scene);
      assert.deepEqual(left.rows, [{ begun: 0, unended: 0 }]);
    } finally {
      await operators.end();
      await scene.close();
    }
  });

  it('is counted where it waits in a tier, too, and when it never gives the processor back', async () => {
    const scene = await openScene({ partitions: 1, delaysMs });
    try {
      const group = aGroup(scene.groupId, scene.topic, 'none');
      const deadly = scene.anEvent();
      const other = scene.anEvent();
      const headers = { ...crashing(deadly, 'spin'), attempt: '1' };
      await scene.producer.send(tierTopicOf(scene.groupId, 200), [{ ...deadly, headers, partition: 0 }]);
      await scene.send([other]);
      assert.equal(await group.untilItLives(), 3);
      const [letter] = await scene.letters(1);
      const told = textHeaders(letter?.headers ?? {});
      assert.deepEqual([told['error-code'], told.attempt], ['crashed', '2']);
      await eventually(() => assert.deepEqual([...new Set(group.handled)], [other.event.event_id]));
      await group.stop();
    } finally {
      await scene.close();
    }
  });

  /** One member at a time: when its process has died, another is started. */
  function aGroup(groupId: string, topic: string, order: string, deadHead = 'skip') {
    const handled: string[] = [];
    let alive: ChildProcess | undefined;
    const file = new URL('./crashing-process.ts', import.meta.url);
    const databaseUrl = stack().databaseUrlOf('ragline_notifications');

    /** Whether it dies, or handles what is there and lives. */
    async function start(): Promise<'died' | 'lives'> {
      const child = fork(file, [groupId, topic, order, delaysMs.join(','), deadHead, databaseUrl], {
        execArgv: [],
      });
      children.add(child);
      alive = child;
      const said = Promise.withResolvers<void>();
      let last = Date.now();
      child.on('message', (message) => {
        last = Date.now();
        if (message === 'ready') said.resolve();
        else handled.push(String(message));
      });
      const died = once(child, 'exit').then(() => 'died' as const);
      void died.then(() => children.delete(child));
      const lives = said.promise.then(async () => {
        await eventually(() => assert.ok(child.exitCode !== null || Date.now() - last > 4_000), {
          withinMs: 30_000,
        });
        return child.exitCode === null ? ('lives' as const) : died;
      });
      return Promise.race([died, lives]);
    }

    return {
      handled,
      /** How often it died before. */
      async untilItLives(): Promise<number> {
        for (let deaths = 0; ; deaths += 1) {
          if ((await start()) === 'lives') return deaths;
          assert.ok(deaths < 6, 'it dies for ever');
        }
      },
      /** Resolves when the process that lived has died. */
      async died(): Promise<void> {
        if (alive !== undefined && alive.exitCode === null && alive.signalCode === null)
          await once(alive, 'exit');
      },
      async stop(): Promise<void> {
        if (alive === undefined) return;
        const gone = once(alive, 'exit');
        alive.send('stop');
        await gone;
      },
      notes: (scene: Awaited<ReturnType<typeof openScene>>) =>
        scene.notes<{ begun: number; unended: number }>(
          `SELECT (SELECT count(*)::int FROM streams.started WHERE group_id = $1) AS begun,
                  (SELECT count(*)::int FROM streams.run WHERE group_id = $1 AND NOT ended) AS unended`,
        ),
    };
  }
});

function crashing({ headers }: { headers?: IHeaders }, how = 'crash'): IHeaders {
  return { ...headers, 'x-ragline-failpoint': how };
}
