import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import type pg from 'pg';
import { failureOf, HandlerDeadlineError, UnavailableError } from '../errors.ts';
import type { Once, OnceBatch, Work } from '../task.ts';
import { createAbandoned, withDeadline } from './deadline.ts';

describe('a handler’s deadline', () => {
  it('fails what does not end, aborts it, and ends its transaction before anything else is told', async () => {
    const told: string[] = [];
    const client = { end: async () => void told.push('connection ended') } as unknown as pg.PoolClient;
    const once: Once = async (effect) => {
      try {
        return await effect(client);
      } catch (error) {
        told.push('transaction failed');
        throw error;
      }
    };
    const aborted = Promise.withResolvers<unknown>();
    const work = withDeadline(
      aWork(async ({ signal, once }) => {
        signal.addEventListener('abort', () => aborted.resolve(signal.reason));
        await once(() => new Promise(() => {}));
        return 'handled';
      }),
      5,
      anyNumber,
    );
    await assert.rejects(work.one('event', attemptWith(once)), HandlerDeadlineError);
    assert.ok((await aborted.promise) instanceof HandlerDeadlineError);
    assert.deepEqual(told, ['connection ended', 'transaction failed']);
    assert.deepEqual(failureOf(new HandlerDeadlineError(5)), { kind: 'unknown', code: 'handler_deadline' });
  });

  it('lets one that was given up begin no transaction afterwards', async () => {
    const gate = Promise.withResolvers<void>();
    const late = Promise.withResolvers<unknown>();
    const work = withDeadline(
      aWork(async ({ once }) => {
        await gate.promise;
        await once(async () => assert.fail('an effect after the deadline')).catch(late.resolve);
        return 'handled';
      }),
      5,
      anyNumber,
    );
    const once: Once = async (effect) => effect({} as pg.PoolClient);
    await assert.rejects(work.one('event', attemptWith(once)), HandlerDeadlineError);
    gate.resolve();
    assert.ok((await late.promise) instanceof HandlerDeadlineError);
  });

  it('is not felt by one that ends, and passes on that its assignment is over', async () => {
    const aborter = new AbortController();
    const work = withDeadline(
      aWork(async ({ signal, once }) => {
        aborter.abort();
        return `${signal.aborted} ${await once(async () => 'effect')}`;
      }),
      60_000,
      anyNumber,
    );
    const once: Once = async (effect) => effect({} as pg.PoolClient);
    assert.equal(await work.one('event', { ...attemptWith(once), signal: aborter.signal }), 'true effect');
  });

  it('counts those that run on, and begins no other when there are too many', async () => {
    const counts: number[] = [];
    const gate = Promise.withResolvers<string>();
    const abandoned = createAbandoned(2, (count) => counts.push(count));
    const work = withDeadline(
      aWork(async () => gate.promise),
      5,
      abandoned,
    );
    const once: Once = async () => undefined;
    const given = () => work.one('event', attemptWith(once));
    await Promise.all([1, 2].map(() => assert.rejects(given(), HandlerDeadlineError)));
    assert.deepEqual(counts, [1, 2]);
    await assert.rejects(given(), UnavailableError);
    gate.resolve('handled');
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(await given(), 'handled');
    assert.deepEqual(counts, [1, 2, 1, 0]);
  });
});

const anyNumber = createAbandoned(Number.POSITIVE_INFINITY, () => {});

type One = Work<string>['one'];
type Given = Parameters<One>[1];

function aWork(one: (attempt: Given) => Promise<string>): Work<string> {
  return {
    admit: () => 'event',
    identityOf: () => undefined,
    one: (_, attempt) => one(attempt),
    many: undefined,
  };
}

function attemptWith(once: Once): Given {
  const onceBatch: OnceBatch = async (effect) => effect({} as pg.PoolClient, new Set());
  return { signal: new AbortController().signal, attempt: 1, once, onceBatch };
}
