import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import type { Pool } from '@ragline/postgres/pool';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../../../../tests/support/eventually.ts';
import { ModelError, type ModelEvent } from '../model/model.ts';
import { createTurnRequests } from './requests.ts';
import { aRetriever, openTurnScene, type TurnScene } from './scene.support.ts';
import { turnStore } from './store.ts';
import { aChunk, aModel, calling, ended, saying } from './turn.support.ts';

describe('answering a turn', function () {
  this.timeout(60_000);
  let scene: TurnScene;
  before(async () => {
    scene = await openTurnScene();
  });
  after(() => scene.close());

  async function asked(content?: string) {
    const who = scene.aUser();
    const conversation = await scene.open(who);
    return { who, conversation, ...(await scene.ask(who, conversation, content)) };
  }

  it('streams the answer with its sources, keeps it, and ends with it', async () => {
    const { who, conversation, record, answer_id } = await asked();
    const worker = await scene.worker({
      retriever: aRetriever([aChunk({ title: 'Hours', source_id: 'doc-1' })]),
    });
    assert.equal(await worker.handle(record), 'completed');

    const message = await scene.message(who, answer_id);
    assert.equal(message.content, 'We are open until ten [1].');
    assert.deepEqual(message.citations, [
      { index: 1, title: 'Hours', source: 'faq/hours', document_id: 'doc-1' },
    ]);
    assert.deepEqual(
      [message.state, message.model, message.usage],
      ['completed', 'test-model', { input_tokens: 10, output_tokens: 5 }],
    );
    const [turn] = (await scene.read(conversation)).turns;
    assert.equal(turn?.text, message.content);
    const types = turn?.events.map(({ event_type }) => event_type) ?? [];
    assert.deepEqual(
      [types.at(-1), types.filter((type) => type === 'citation').length],
      ['message_completed', 1],
    );
    assert.deepEqual(
      turn?.events.map(({ sequence }) => sequence),
      turn?.events.map((_, i) => i + 1),
    );
    assert.deepEqual(turn?.events.at(-1)?.message, { ...message });
  });

  it('tells the same end again when the record comes again, and asks no model', async () => {
    const { conversation, record } = await asked();
    await (await scene.worker()).handle(record);
    const model = aModel(() => saying('Something else.'));
    assert.equal(await (await scene.worker({ model })).handle(record), 'duplicate');
    assert.equal(model.requests.length, 0);
    const ends = await endsOf(conversation);
    assert.equal(ends.length, 2);
    assert.deepEqual(ends[0], ends[1]);
  });

  it('calls tools, shows the model their results, numbers their sources on, and asks for an approval', async () => {
    const { who, conversation, record, answer_id } = await asked('Two Margherita, please.');
    const approval_id = randomUUIDv7();
    const found = aChunk({ title: 'Margherita', kind: 'menu' });
    const model = aModel((_, call) =>
      call === 1 ? calling('retrieve_menu', 'confirm') : saying('As you like [2].'),
    );
    const worker = await scene.worker({
      model,
      tools: {
        specs: async () => [{ name: 'confirm', description: '', parameters: {} }],
        async call({ name }, { cite }) {
          if (name === 'confirm')
            return {
              ok: true,
              content: '{}',
              summary: 'asked',
              approval: { approval_id, quote: { total: 1_900 } },
            };
          assert.deepEqual(cite?.([found]), [2]);
          return { ok: true, content: '{"found":[2]}', summary: '1 dish', chunks: [found] };
        },
      },
    });
    await worker.handle(record);
    const message = await scene.message(who, answer_id);
    assert.deepEqual([message.content, message.approval_id], ['As you like [2].', approval_id]);
    assert.deepEqual(
      message.citations.map(({ title }) => title),
      ['Margherita'],
    );
    assert.deepEqual(message.usage, { input_tokens: 20, output_tokens: 10 });
    const [turn] = (await scene.read(conversation)).turns;
    assert.deepEqual(
      turn?.events.map(({ event_type, tool }) => (tool === null ? event_type : `${event_type} ${tool}`)),
      [
        'tool_started retrieve_menu',
        'tool_finished retrieve_menu',
        'tool_started confirm',
        'tool_finished confirm',
        'approval_required',
        'message_delta',
        'citation',
        'message_completed',
      ],
    );
    const shown = model.requests[1]?.messages.slice(-3).map(({ role, content }) => [role, content]);
    assert.deepEqual(shown, [
      ['assistant', ''],
      ['tool', '{"found":[2]}'],
      ['tool', '{}'],
    ]);
    assert.deepEqual(
      model.requests[1]?.knowledge.map(({ title }) => title),
      ['Opening hours', 'Margherita'],
    );
  });

  it('lets a model that calls tools without end answer after six rounds', async () => {
    const { record } = await asked();
    const model = aModel((request) =>
      request.tools.length > 0 ? calling('retrieve_menu') : saying('Enough.'),
    );
    const specs = [{ name: 'retrieve_menu', description: '', parameters: {} }];
    const tools = {
      specs: async () => specs,
      call: async () => ({ ok: true as const, content: '{}', summary: '' }),
    };
    assert.equal(await (await scene.worker({ model, tools })).handle(record), 'completed');
    assert.equal(model.requests.length, 7);
  });

  it('fails visibly when no model answers, and the conversation goes on', async () => {
    const { who, conversation, record, answer_id } = await asked();
    const model = aModel(() => failing(new ModelError('model_unavailable', 'None answered')));
    assert.equal(await (await scene.worker({ model })).handle(record), 'failed');
    assert.deepEqual(failure(await scene.message(who, answer_id)), ['failed', 'model_unavailable']);
    const [end] = await endsOf(conversation);
    assert.deepEqual([end?.event_type, end?.code], ['message_failed', 'model_unavailable']);

    const next = await scene.ask(who, conversation, 'And now?');
    assert.equal(await (await scene.worker()).handle(next.record), 'completed');
  });

  it('keeps what was said before the stream broke, and says that it failed', async () => {
    const { who, record, answer_id } = await asked();
    const model = aModel(() => failing(new ModelError('model_stalled', 'It broke'), 'We are'));
    await (await scene.worker({ model })).handle(record);
    const message = await scene.message(who, answer_id);
    assert.deepEqual([...failure(message), message.content], ['failed', 'model_stalled', 'We are']);
  });

  it('makes a dead letter of a fault of its own, which a replay answers after all', async () => {
    const { who, conversation, record, answer_id } = await asked();
    const broken = aModel(() => failing(new TypeError('a bug')));
    await assert.rejects((await scene.worker({ model: broken })).handle(record), { code: 'turn_failed' });
    assert.deepEqual(failure(await scene.message(who, answer_id)), ['failed', 'internal_error']);
    assert.equal(await (await scene.worker()).handle(record), 'completed');
    const [turn] = (await scene.read(conversation)).turns;
    assert.deepEqual(
      [turn?.restarts, turn?.ends, turn?.text],
      [1, ['message_failed', 'message_completed'], 'We are open until ten [1].'],
    );
  });

  it('books nothing for a model that said nothing, and what the window took for one that broke off', async () => {
    const usageOf = async (...pieces: string[]) => {
      const { who, record, answer_id } = await asked();
      const model = aModel(() => failing(new ModelError('model_unavailable', ''), ...pieces));
      await (await scene.worker({ model })).handle(record);
      return (await scene.message(who, answer_id)).usage;
    };
    assert.equal(await usageOf(), null);
    assert.ok(((await usageOf('We are'))?.input_tokens ?? 0) > 0);
  });

  it('shows the model earlier questions and answers, and not those that failed', async () => {
    const { who, conversation, record } = await asked('First question');
    await (await scene.worker({ model: aModel(() => saying('First answer')) })).handle(record);
    const failed = await scene.ask(who, conversation, 'Second question');
    const broken = aModel(() => failing(new ModelError('model_unavailable', '')));
    await (await scene.worker({ model: broken })).handle(failed.record);
    const third = await scene.ask(who, conversation, 'Third question');
    const model = aModel(() => saying('Third answer'));
    await (await scene.worker({ model })).handle(third.record);
    assert.deepEqual(
      model.requests[0]?.messages.slice(1).map(({ content }) => content),
      ['First question', 'First answer', 'Third question'],
    );
  });

  it('stops at once: the model is told, what was said is kept', async () => {
    const { who, conversation, record, turn_id, answer_id } = await asked();
    let isToldToStop = false;
    const model = aModel(async function* ({ signal }) {
      yield { kind: 'text', text: 'We are' } satisfies ModelEvent;
      signal.addEventListener('abort', () => {
        isToldToStop = true;
      });
      // It never says more, and does not listen either.
      await new Promise(() => {});
    });
    const worker = await scene.worker({ model });
    const handled = worker.handle(record);
    await eventually(async () => assert.equal((await scene.read(conversation)).turns[0]?.text, 'We are'));
    assert.deepEqual(await scene.stop(who, conversation), [turn_id]);
    worker.running.stop(turn_id);
    assert.equal(await handled, 'stopped');
    assert.equal(isToldToStop, true);
    const message = await scene.message(who, answer_id);
    assert.deepEqual([message.state, message.content], ['stopped', 'We are']);
    assert.deepEqual(
      (await endsOf(conversation)).map(({ event_type }) => event_type),
      ['message_stopped'],
    );
  });

  it('tells of a wish to stop once, however often it is said', async () => {
    const { who, conversation, turn_id } = await asked();
    assert.deepEqual(await scene.stop(who, conversation), [turn_id]);
    assert.deepEqual(await scene.stop(who, conversation), [turn_id]);
    const { rowCount } = await scene.inTenant(who, (client) =>
      client.query('SELECT FROM chat.outbox WHERE tenant_id = $1', [who.tenant_id]),
    );
    // The question's record, and one of the wish.
    assert.equal(rowCount, 2);
  });

  it('ends an answer that has no end, so that it can be told', async () => {
    const { who, record, answer_id } = await asked();
    const model = aModel(async function* () {
      for (;;) yield { kind: 'text', text: 'and so on '.repeat(100) } satisfies ModelEvent;
    });
    assert.equal(await (await scene.worker({ model })).handle(record), 'completed');
    assert.ok((await scene.message(who, answer_id)).content.length < 100_000);
  });

  it('ends a turn that is open though its record counts as handled', async () => {
    const { who, conversation, record, answer_id } = await asked();
    await (await scene.worker()).handle(record);
    await scene.owner.query("UPDATE chat.turn SET state = 'requested' WHERE id = $1", [record.turn_id]);
    assert.equal(await (await scene.worker()).handle(record), 'completed');
    assert.equal((await scene.message(who, answer_id)).state, 'completed');
    assert.equal((await scene.read(conversation)).turns[0]?.ends.length, 2);
  });

  it('asks no model when the stop came before the turn began', async () => {
    const { who, conversation, record } = await asked();
    await scene.stop(who, conversation);
    const model = aModel(() => saying('Too late.'));
    assert.equal(await (await scene.worker({ model })).handle(record), 'stopped');
    assert.equal(model.requests.length, 0);
  });

  it('ends a turn at its deadline', async () => {
    const { who, record, answer_id } = await asked();
    const model = aModel(async function* () {
      yield { kind: 'text', text: 'We' } satisfies ModelEvent;
      await new Promise(() => {});
    });
    assert.equal(await (await scene.worker({ model, deadlineMs: 50 })).handle(record), 'failed');
    assert.deepEqual(failure(await scene.message(who, answer_id)), ['failed', 'turn_deadline']);
  });

  it('answers a turn whose record comes before Postgres shows its commit', async () => {
    const who = scene.aUser();
    const conversation = await scene.open(who);
    const worker = await scene.worker();
    const [{ answer_id }, handled] = await scene.inTenant(who, async (client) => {
      const asked = { who, conversation_id: conversation, content: 'Hello?' };
      const ids = await scene.requests.requestTurn(client, asked);
      const handling = worker.handle(await scene.recordOf(who, ids.turn_id, client));
      // It has looked, and found nothing: what it looks for is not committed.
      await eventually(() => assert.ok(worker.claims() > 1));
      // Wrapped: an async function would wait for it, and it waits for the commit.
      return [ids, { handling }] as const;
    });
    assert.equal(await handled.handling, 'completed');
    assert.equal((await scene.message(who, answer_id)).state, 'completed');
  });

  it('claims a turn whose commit shows after it has looked, and before it looks how the turn ended', async () => {
    const who = scene.aUser();
    const conversation = await scene.open(who);
    const { promise: looked, resolve: commit } = Promise.withResolvers<void>();
    const { promise: asked, resolve: isAsked } = Promise.withResolvers<string>();
    const asking = scene.inTenant(who, async (client) => {
      const ids = await scene.requests.requestTurn(client, {
        who,
        conversation_id: conversation,
        content: 'Hello?',
      });
      isAsked(ids.turn_id);
      await looked;
    });
    const store = turnStore(
      pausing(scene.pool, 'chat_claim_turn', () => {
        commit();
        return asking;
      }),
    );
    assert.equal((await store.claim(who.tenant_id, await asked, 'test')).kind, 'claimed');
  });

  for (const error_code of ['orders_unavailable', 'expired', 'turn_deadline', 'internal_error']) {
    it(`carries a decision out after all that was sent again when it had failed: ${error_code}`, async () => {
      const who = scene.aUser();
      const conversation = await scene.open(who);
      const approval = randomUUIDv7();
      const first = await scene.decide(who, conversation, approval);
      const { turn_id, answer_id } = first;
      await scene.owner.query("UPDATE chat.turn SET state = 'failed', error_code = $2 WHERE id = $1", [
        turn_id,
        error_code,
      ]);
      await scene.owner.query(
        "UPDATE chat.message SET state = 'failed', error_code = $2, completed_at = now() WHERE id = $1",
        [answer_id, error_code],
      );
      const again = await scene.decide(who, conversation, approval);
      assert.notEqual(again.record.event_id, first.record.event_id);
      assert.deepEqual(failure(await scene.message(who, answer_id)), ['pending', null]);
      assert.equal(await (await scene.worker()).handle(again.record), 'completed');
    });
  }

  it('has nothing to do for an old record whose turn is gone', async () => {
    const { record } = await asked();
    const old = new Date(Date.now() - 3_600_000).toISOString();
    const worker = await scene.worker();
    assert.equal(await worker.handle({ ...record, turn_id: randomUUIDv7(), occurred_at: old }), 'gone');
  });

  it('refuses another question while too many of the tenant wait, and takes it when one has ended', async () => {
    const who = scene.aUser();
    const conversation = await scene.open(who);
    const first = await scene.ask(who, conversation);
    for (let i = 1; i < 20; i += 1) await scene.ask(who, conversation);
    await assert.rejects(scene.ask(who, conversation), { code: 'rate_limited' });
    await (await scene.worker()).handle(first.record);
    await scene.ask(who, conversation);
  });

  it('refuses a user who has too many open, and nobody else of the tenant', async () => {
    const who = scene.aUser();
    const neighbour = { ...scene.aUser(), tenant_id: who.tenant_id };
    const limited = await createTurnRequests(scene.codec, { openTurnsMax: 20, openTurnsOfUserMax: 3 });
    const ask = async (asking: typeof who) => {
      const conversation_id = await scene.open(asking);
      return scene.inTenant(asking, (client) =>
        limited.requestTurn(client, { who: asking, conversation_id, content: 'Hello?' }),
      );
    };
    for (let i = 0; i < 3; i += 1) await ask(who);
    await assert.rejects(ask(who), { code: 'rate_limited' });
    await ask(neighbour);
  });

  it('takes no message of anybody but the owner', async () => {
    const who = scene.aUser();
    const conversation = await scene.open(who);
    const neighbour = { ...scene.aUser(), tenant_id: who.tenant_id };
    await assert.rejects(scene.ask(neighbour, conversation), { code: 'not_found' });
    await assert.rejects(scene.ask(scene.aUser(), conversation), { code: 'not_found' });
    await assert.rejects(scene.stop(neighbour, conversation), { code: 'not_found' });
  });

  async function endsOf(conversation: string) {
    const all = await Promise.all(
      scene.sent.map(async ({ value }) =>
        value === null ? undefined : (await scene.codec.decode(value)).value,
      ),
    );
    return all
      .filter((it): it is Record<string, unknown> => typeof it === 'object' && it !== null)
      .filter(
        (it) =>
          it.conversation_id === conversation &&
          /^message_(completed|failed|stopped)$/.test(String(it.event_type)),
      );
  }
});

/** After the named statement the transaction waits for what `wait` gives. */
function pausing(pool: Pool, name: string, wait: () => Promise<unknown>): Pool {
  return new Proxy(pool, {
    get(target, key) {
      if (key !== 'connect') return Reflect.get(target, key);
      return async () => {
        const client = await target.connect();
        const query = client.query.bind(client) as (...of: unknown[]) => Promise<unknown>;
        const paused = async (...of: unknown[]) => {
          const result = await query(...of);
          const [config] = of;
          if (typeof config === 'object' && config !== null && 'name' in config && config.name === name)
            await wait();
          return result;
        };
        return new Proxy(client, {
          get: (own, it) => {
            if (it === 'query') return paused;
            const value: unknown = Reflect.get(own, it);
            return typeof value === 'function' ? value.bind(own) : value;
          },
        });
      };
    },
  });
}

const failure = ({ state, error_code }: { state: string; error_code: string | null }) => [state, error_code];

async function* failing(error: Error, ...pieces: string[]): AsyncGenerator<ModelEvent> {
  for (const text of pieces) yield { kind: 'text', text };
  if (pieces.length > 100) yield ended('stop');
  throw error;
}
