import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { after, before, describe, it } from 'mocha';
import { createBudgets } from '../budgets.ts';
import { openTurnScene, quiet, type TurnScene } from './scene.support.ts';
import { endDeadTurn, sweep } from './sweeper.ts';

describe('turns that nobody comes back to', function () {
  this.timeout(60_000);
  let scene: TurnScene;
  before(async () => {
    scene = await openTurnScene();
  });
  after(() => scene.close());

  const parts = async () => {
    const told: string[] = [];
    const publisher = {
      async end(_at: unknown, _sequence: number, { event_type }: { event_type: string }) {
        told.push(event_type);
      },
    };
    const limits = { requestedMs: 60_000, runningMs: 60_000 };
    return { told, sweeping: { store: scene.store, publisher, limits, log: quiet } };
  };

  async function asked() {
    const who = scene.aUser();
    const conversation = await scene.open(who);
    return { who, conversation, ...(await scene.ask(who, conversation)) };
  }

  it('end visibly, those that were never begun and those that were never finished', async () => {
    const [waiting, running, young] = [await asked(), await asked(), await asked()];
    await scene.store.claim(running.who.tenant_id, running.turn_id, 'dead');
    await scene.owner.query(
      `UPDATE chat.turn SET requested_at = now() - interval '2 minutes', started_at = started_at - interval '2 minutes'
        WHERE id = ANY($1)`,
      [[waiting.turn_id, running.turn_id]],
    );
    const { told, sweeping } = await parts();
    assert.equal(await sweep(sweeping), 2);
    assert.deepEqual(told, ['message_failed', 'message_failed']);
    for (const { who, answer_id } of [waiting, running]) {
      const { state, error_code } = await scene.message(who, answer_id);
      assert.deepEqual([state, error_code], ['failed', 'expired']);
    }
    assert.equal((await scene.message(young.who, young.answer_id)).state, 'pending');
    assert.equal(await sweep(sweeping), 0);
    // Its record may come after all: what its reader was told stays true.
    assert.equal(await (await scene.worker()).handle(waiting.record), 'duplicate');
  });

  it('are not ended in silence: what cannot be told is not kept either', async () => {
    const { who, answer_id, turn_id } = await asked();
    await scene.owner.query(
      `UPDATE chat.turn SET requested_at = now() - interval '2 minutes' WHERE id = $1`,
      [turn_id],
    );
    const { sweeping } = await parts();
    const mute = { end: () => Promise.reject(new Error('Kafka is away')) };
    await assert.rejects(sweep({ ...sweeping, publisher: mute }), /Kafka is away/);
    assert.equal((await scene.message(who, answer_id)).state, 'pending');
    await sweep(sweeping);
    assert.equal((await scene.message(who, answer_id)).state, 'failed');
  });

  it('are given time again when their decision is sent again', async () => {
    const who = scene.aUser();
    const conversation = await scene.open(who);
    const approval = randomUUIDv7();
    const decided = await scene.decide(who, conversation, approval);
    await scene.owner.query(
      `UPDATE chat.turn SET requested_at = now() - interval '2 minutes', created_at = now() - interval '2 minutes'
        WHERE id = $1`,
      [decided.turn_id],
    );
    const { sweeping } = await parts();
    assert.equal(await sweep(sweeping), 1);
    const again = await scene.decide(who, conversation, approval);
    assert.equal(await sweep(sweeping), 0);
    assert.equal((await scene.message(who, decided.answer_id)).state, 'pending');
    assert.equal(await (await scene.worker()).handle(again.record), 'completed');
  });

  it('are ended at once when their record becomes a dead letter, and begun again by its replay', async () => {
    const { who, answer_id, record } = await asked();
    const { told, sweeping } = await parts();
    await endDeadTurn(sweeping, scene.eventOf(record));
    await endDeadTurn(sweeping, scene.eventOf(record));
    assert.deepEqual(told, ['message_failed']);
    assert.equal((await scene.message(who, answer_id)).error_code, 'internal_error');
    assert.equal(await (await scene.worker()).handle(record), 'completed');
  });

  it('hold nothing of a budget any more, and have used nothing', async () => {
    const budgets = createBudgets({ tenantTokens: 0, userTokens: 1_000 });
    const [expired, dead] = [await asked(), await asked()];
    for (const { who, turn_id } of [expired, dead]) {
      await scene.inTenant(who, (client) => budgets.hold(client, who, turn_id, 900));
    }
    await scene.owner.query(
      `UPDATE chat.turn SET requested_at = now() - interval '2 minutes' WHERE id = $1`,
      [expired.turn_id],
    );
    const { sweeping } = await parts();
    const spending = { ...sweeping, spend: budgets.spend };
    assert.equal(await sweep(spending), 1);
    await endDeadTurn(spending, scene.eventOf(dead.record));
    for (const { who } of [expired, dead]) {
      await scene.inTenant(who, (client) => budgets.hold(client, who, randomUUIDv7(), 900));
    }
  });

  it('say nothing of a turn that has ended well', async () => {
    const { who, answer_id, record } = await asked();
    await (await scene.worker()).handle(record);
    const { told, sweeping } = await parts();
    await endDeadTurn(sweeping, scene.eventOf(record));
    assert.deepEqual([told, (await scene.message(who, answer_id)).state], [[], 'completed']);
  });
});
