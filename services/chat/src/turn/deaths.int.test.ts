import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import { ModelError } from '../model/model.ts';
import type { Executed } from '../tools/approvals.ts';
import type { FailpointName } from './failpoint.ts';
import { type Behaviour, openTurnScene, type TurnScene } from './scene.support.ts';
import { aModel, calling, saying } from './turn.support.ts';

type Kind = {
  name: string;
  behaviour: () => Behaviour;
  ends: string;
  text: string;
  /** Passings of each place in one whole run. */
  places: Partial<Record<FailpointName, number>>;
};

const always = { begun: 1, claimed: 1, answered: 1, finished: 1, told: 1 };

const kinds: Kind[] = [
  {
    name: 'an answer',
    behaviour: () => ({}),
    ends: 'message_completed',
    text: 'We are open until ten [1].',
    places: { ...always, retrieved: 1, model: 1, text: 3 },
  },
  {
    name: 'an answer with tools',
    behaviour: () => ({
      model: aModel((_, call) =>
        call % 2 === 1 ? calling('retrieve_menu', 'search') : saying('Two ', 'dishes.'),
      ),
      tools: {
        specs: async () => [{ name: 'retrieve_menu', description: '', parameters: {} }],
        call: async () => ({ ok: true, content: '{}', summary: '2 dishes' }),
      },
    }),
    ends: 'message_completed',
    text: 'Two dishes.',
    places: { ...always, retrieved: 1, model: 2, text: 2, tool: 2, tool_called: 2 },
  },
  {
    name: 'an answer that fails',
    behaviour: () => ({
      // biome-ignore lint/correctness/useYield: it fails before it says anything.
      model: aModel(async function* () {
        throw new ModelError('model_unavailable', 'None answered');
      }),
    }),
    ends: 'message_failed',
    text: '',
    places: { begun: 1, claimed: 1, retrieved: 1, model: 1, finished: 1, told: 1 },
  },
];

describe('a worker that dies at any line', function () {
  this.timeout(60_000);
  let scene: TurnScene;
  before(async () => {
    scene = await openTurnScene();
  });
  after(() => scene.close());

  for (const { name, behaviour, ends, text, places } of kinds) {
    for (const [place, passings] of Object.entries(places)) {
      for (let passing = 1; passing <= passings; passing += 1) {
        it(`loses nothing of ${name}: at ${place}, passing ${passing}`, async () => {
          const who = scene.aUser();
          const conversation = await scene.open(who);
          const { record, answer_id } = await scene.ask(who, conversation);
          const first = await scene.worker({ ...behaviour(), diesAt: placeOf(place), passing });
          void first.handle(record);
          await first.died;

          const second = await scene.worker(behaviour());
          const outcome = await second.handle(record);
          const wasKept = place === 'finished' || place === 'told';
          assert.equal(outcome, wasKept ? 'duplicate' : ends.replace('message_', ''));

          const message = await scene.message(who, answer_id);
          assert.deepEqual([message.state, message.content], [ends.replace('message_', ''), text]);
          const [turn] = (await scene.read(conversation)).turns;
          assert.deepEqual([turn?.ends, turn?.text], [[ends], text]);
          assert.equal(turn?.restarts, wasKept || place === 'begun' ? 0 : 1);
        });
      }
    }
  }

  for (const place of ['begun', 'claimed', 'approved', 'answered', 'finished', 'told'] as const) {
    it(`carries an approval out once: at ${place}`, async () => {
      const who = scene.aUser();
      const conversation = await scene.open(who);
      const { record, answer_id } = await scene.decide(who, conversation);
      const ledger = aLedger();
      const first = await scene.worker({ execute: ledger.execute, diesAt: place });
      void first.handle(record);
      await first.died;
      await (await scene.worker({ execute: ledger.execute })).handle(record);

      assert.equal(ledger.orders(), 1);
      const message = await scene.message(who, answer_id);
      assert.match(message.content, /^Your order is placed: number order-1, €19\.00 in all\.$/);
      const [turn] = (await scene.read(conversation)).turns;
      assert.deepEqual([turn?.ends, turn?.text], [['message_completed'], message.content]);
    });
  }

  it('says each thing once when worker after worker dies', async () => {
    const who = scene.aUser();
    const conversation = await scene.open(who);
    const { record, answer_id } = await scene.ask(who, conversation);
    const deaths = ['begun', 'claimed', 'retrieved', 'text', 'answered', 'finished'] as const;
    for (const diesAt of deaths) {
      const worker = await scene.worker({ diesAt });
      void worker.handle(record);
      await worker.died;
    }
    assert.equal(await (await scene.worker()).handle(record), 'duplicate');
    const [turn] = (await scene.read(conversation)).turns;
    assert.deepEqual([turn?.ends, turn?.text], [['message_completed'], 'We are open until ten [1].']);
    assert.equal((await scene.message(who, answer_id)).state, 'completed');
  });

  it('is heard no more when it was only frozen, and changes nothing', async () => {
    const who = scene.aUser();
    const conversation = await scene.open(who);
    const { record, answer_id, turn_id } = await scene.ask(who, conversation);
    const { promise: thaw, resolve: wake } = Promise.withResolvers<void>();
    const { promise: frozen, resolve: freeze } = Promise.withResolvers<void>();
    const old = await scene.worker({
      model: aModel(async function* () {
        yield* saying('The old ', 'story').slice(0, 1);
        freeze();
        await thaw;
        yield* saying('is told.');
      }),
    });
    const oldHandled = old.handle(record);
    await frozen;
    await (await scene.worker()).handle(record);
    wake();
    // As its runner does when the assignment is over.
    const rejected = assert.rejects(oldHandled);
    old.running.superseded(turn_id, 2);
    old.abort();
    await rejected;

    const message = await scene.message(who, answer_id);
    assert.equal(message.content, 'We are open until ten [1].');
    const [turn] = (await scene.read(conversation)).turns;
    assert.deepEqual([turn?.text, turn?.restarts], [message.content, 1]);
  });

  it('takes the wish to stop over with the turn', async () => {
    const who = scene.aUser();
    const conversation = await scene.open(who);
    const { record, answer_id } = await scene.ask(who, conversation);
    const first = await scene.worker({ diesAt: 'text' });
    void first.handle(record);
    await first.died;
    await scene.stop(who, conversation);
    const model = aModel(() => saying('Too late.'));
    assert.equal(await (await scene.worker({ model })).handle(record), 'stopped');
    assert.deepEqual([model.requests.length, (await scene.message(who, answer_id)).state], [0, 'stopped']);
  });
});

function placeOf(place: string): FailpointName {
  const known = [
    'begun',
    'claimed',
    'retrieved',
    'model',
    'text',
    'tool',
    'tool_called',
    'approved',
  ] as const;
  const later = ['answered', 'finished', 'told'] as const;
  const found = [...known, ...later].find((it) => it === place);
  if (found === undefined) throw new TypeError(`Not a place: ${place}`);
  return found;
}

/** Remembers what it did by the approval, as the real one does. */
function aLedger() {
  const done = new Map<string, Executed>();
  let orders = 0;
  return {
    orders: () => orders,
    async execute(approvalId: string): Promise<Executed> {
      const known = done.get(approvalId);
      if (known !== undefined) return known;
      orders += 1;
      const order = { id: `order-${orders}`, status: 'pending', items: [], subtotal: 1_900, discount: 0 };
      const executed: Executed = {
        kind: 'ordered',
        order: { ...order, total: 1_900, currency: 'EUR', promo_code: null },
      };
      done.set(approvalId, executed);
      return executed;
    },
  };
}
