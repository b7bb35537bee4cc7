import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../../../../tests/support/eventually.ts';
import { type LiveScene, openLiveScene, readEvents } from './live.support.ts';

describe('answers over HTTP', function () {
  this.timeout(60_000);
  let scene: LiveScene;

  before(async () => {
    scene = await openLiveScene();
  });
  after(() => scene?.close());

  const messagesOf = (conversation: string) => `/v1/conversations/${conversation}/messages`;
  const eventsOf = (conversation: string, origin = scene.origin) =>
    `${origin}/v1/conversations/${conversation}/events`;
  const content = 'Are you open on Sunday?';

  async function asking(headers: Record<string, string> = {}) {
    const who = await scene.aUser();
    const conversation = await scene.open(who);
    const url = `${scene.origin}${messagesOf(conversation)}`;
    const ask = () => readEvents(url, { token: who.token, headers, body: { content } });
    return { who, conversation, ask };
  }

  it('stream as events with ids, and end with the end of their turn', async () => {
    const { who, conversation, ask } = await asking();
    const stream = await ask();
    assert.equal(stream.status, 200);
    const worker = await scene.work(who, conversation);
    await worker.say('Yes, ', 'until ten.');
    await worker.finish();
    await stream.ended;
    assert.equal(stream.text(), 'Yes, until ten.');
    const types = stream.events().map(({ event }) => event);
    assert.deepEqual(types, ['message_delta', 'message_delta', 'message_completed']);
    for (const { id, data } of stream.events()) {
      assert.ok(id);
      assert.equal(data.turn_id, worker.turn.id);
      assert.ok(Object.values(data).every((value) => value !== null));
    }
    const { message } = stream.events().at(-1)?.data ?? {};
    assert.deepEqual(message, await scene.conversations.message(who, worker.turn.answer_id));
  });

  it('come whole when nobody asks for a stream', async () => {
    const { who, conversation } = await asking();
    const answer = scene.http('POST', messagesOf(conversation), { token: who.token, body: { content } });
    const worker = await scene.work(who, conversation);
    await worker.say('Yes.');
    await worker.finish();
    const { status, body } = await answer;
    assert.equal(status, 200);
    assert.equal(body.message.content, 'Yes.');
    assert.equal(body.message.state, 'completed');
  });

  it('come later when that is preferred, and are missed by nobody who reads from the position given', async () => {
    const { who, conversation } = await asking();
    const { token } = who;
    const asked = await scene.http('POST', messagesOf(conversation), {
      ...{ token, body: { content } },
      headers: { prefer: 'respond-async' },
    });
    assert.equal(asked.status, 202);
    const worker = await scene.work(who, conversation);
    await worker.say('Yes.');
    await worker.finish();
    const since = asked.headers.get('stream-position') ?? '';
    const stream = await readEvents(`${eventsOf(conversation)}?since=${since}`, { token });
    await eventually(() => stream.events().length === 2);
    assert.equal(stream.text(), 'Yes.');
    stream.close();
  });

  it('go on when their reader leaves, and are read on another instance from the last id', async () => {
    const { who, conversation, ask } = await asking();
    const stream = await ask();
    const worker = await scene.work(who, conversation);
    await worker.say('Yes, ');
    await eventually(() => stream.text() === 'Yes, ');
    const { id = '' } = stream.told.at(-1) ?? {};
    stream.close();
    await worker.say('until ', 'ten.');
    const other = await scene.instance();
    const headers = { 'last-event-id': id };
    const resumed = await readEvents(eventsOf(conversation, other.origin), { token: who.token, headers });
    await eventually(() => resumed.text() === 'until ten.');
    await worker.finish();
    await eventually(() => resumed.events().at(-1)?.event === 'message_completed');
    assert.equal(resumed.events().length, 3);
    resumed.close();
  });

  it('are read on from where they were by fifty at the same moment on another instance', async () => {
    const who = await scene.aUser();
    const { token } = who;
    const missed = await Promise.all(
      Array.from({ length: 50 }, async () => {
        const conversation = await scene.open(who);
        const since = scene.live.feed.cursorNow(conversation) ?? '';
        await scene.http('POST', messagesOf(conversation), {
          ...{ token, body: { content }, headers: { prefer: 'respond-async' } },
        });
        const worker = await scene.work(who, conversation);
        await worker.say('Yes, ', 'until ', 'ten.');
        await worker.finish();
        return { conversation, since };
      }),
    );
    const { origin } = await scene.instance();
    const streams = await Promise.all(
      missed.map(({ conversation, since }) =>
        readEvents(`${eventsOf(conversation, origin)}?since=${since}`, { token }),
      ),
    );
    for (const stream of streams) {
      await eventually(() => stream.events().at(-1)?.event === 'message_completed');
      assert.equal(stream.text(), 'Yes, until ten.');
      assert.equal(stream.events().length, 4);
      stream.close();
    }
  });

  it('are streamed once more for the same key, and asked for once', async () => {
    const { who, conversation, ask } = await asking({ 'idempotency-key': randomUUIDv7() });
    const first = await ask();
    const worker = await scene.work(who, conversation);
    await worker.say('Yes.');
    const second = await ask();
    assert.equal(second.headers.get('idempotent-replayed'), 'true');
    await worker.finish();
    await first.ended;
    await second.ended;
    assert.deepEqual(
      second.events().map(({ data }) => data),
      first.events().map(({ data }) => data),
    );
    const { data } = await scene
      .http('GET', messagesOf(conversation), { token: who.token })
      .then(({ body }) => body);
    assert.equal(data.length, 2);
  });

  it('end by their row when their end was told to nobody', async () => {
    const { who, conversation, ask } = await asking();
    const stream = await ask();
    const worker = await scene.work(who, conversation);
    await worker.say('Yes.');
    await worker.finish({ isTold: false });
    await stream.ended;
    assert.equal(stream.events().at(-1)?.event, 'message_completed');
  });

  it('are told once, whatever is sent again and whoever else still writes', async () => {
    const { who, conversation, ask } = await asking();
    const stream = await ask();
    const old = await scene.work(who, conversation);
    await old.say('Yes, ');
    const young = await scene.work(who, conversation);
    young.stream.event({ event_type: 'message_restarted' });
    await young.say('No.');
    await old.say('until ten.');
    await young.finish();
    await stream.ended;
    const told = stream.events().map(({ event, data }) => [event, data.generation, data.text]);
    assert.deepEqual(told, [
      ['message_delta', 1, 'Yes, '],
      ['message_restarted', 2, undefined],
      ['message_delta', 2, 'No.'],
      ['message_completed', 2, undefined],
    ]);
  });

  it('are told to be incomplete when what was missed is kept no longer, and then live', async () => {
    const { who, conversation, ask } = await asking();
    const stream = await ask();
    const worker = await scene.work(who, conversation);
    await worker.say('Yes, ');
    await eventually(() => stream.text() === 'Yes, ');
    const { id = '' } = stream.told.at(-1) ?? {};
    stream.close();
    await worker.say('until ');
    await scene.forget();
    const headers = { 'last-event-id': id };
    const resumed = await readEvents(eventsOf(conversation), { token: who.token, headers });
    await eventually(() => assert.deepEqual(resumed.events()[0]?.data, { reason: 'expired' }));
    await worker.say('ten.');
    await eventually(() => resumed.text() === 'ten.');
    resumed.close();
  });

  it('stay within the budget of their user', async () => {
    const poor = await scene.instance({ budgets: { tenantTokens: 0, userTokens: 100 } });
    const { who, conversation, ask } = await asking();
    const first = await ask();
    const worker = await scene.work(who, conversation);
    await worker.say('Yes.');
    await worker.finish({ usage: { input_tokens: 90, output_tokens: 10 } });
    await first.ended;
    const url = `${poor.origin}${messagesOf(conversation)}`;
    const refused = await readEvents(url, { token: who.token, body: { content } });
    assert.equal(refused.status, 429);
    assert.ok(Number(refused.headers.get('retry-after')) > 0);
  });
});
