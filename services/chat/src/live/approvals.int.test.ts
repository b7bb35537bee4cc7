import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'mocha';
import { eventually } from '../../../../tests/support/eventually.ts';
import { addToolRoutes } from '../http-tools.ts';
import { callerIn, type Desk, openDesk } from '../tools/tools.support.ts';
import { type LiveScene, openLiveScene, readEvents, type TestUser } from './live.support.ts';

describe('what comes of an approval, as a stream', function () {
  this.timeout(60_000);
  let scene: LiveScene;
  let desk: Desk;
  let who: TestUser;
  let conversation_id: string;
  let url: string;

  before(async () => {
    let addTools = () => {};
    scene = await openLiveScene({}, ({ api, live, pool }) => {
      addTools = () => {
        const { registry } = desk;
        const { requestApproval } = scene.requests;
        addToolRoutes(api, { pool, registry, requestApproval, answers: live.answers });
      };
    });
    desk = await openDesk({ pool: scene.pool });
    addTools();
  });
  after(async () => {
    await desk?.stop();
    await scene?.close();
  });
  beforeEach(async () => {
    who = await scene.aUser();
    conversation_id = await scene.open(who);
    const dish = randomUUIDv7();
    desk.fake.price(dish, 950);
    const asked = JSON.stringify({ items: [{ product_id: dish, quantity: 1 }] });
    const call = { id: '1', name: 'confirm', arguments: asked };
    const outcome = await desk.registry.call(call, callerIn({ ...who, conversation_id }));
    assert.ok(outcome.ok && outcome.approval);
    url = `${scene.origin}/v1/conversations/${conversation_id}/approvals/${outcome.approval.approval_id}`;
  });

  const decide = (decision: string, { token } = who) => readEvents(url, { token, body: { decision } });
  const typesOf = ({ events }: Awaited<ReturnType<typeof decide>>) => events().map(({ event }) => event);

  it('has its events with ids, ends with the end of its turn, and can be read on from an id', async () => {
    const stream = await decide('approve');
    assert.equal(stream.status, 200);
    assert.match(stream.headers.get('content-type') ?? '', /^text\/event-stream/);
    const worker = await scene.work(who, conversation_id);
    await worker.say('Thank you, ', 'it is on its way.');
    await worker.finish();
    await stream.ended;
    assert.equal(stream.text(), 'Thank you, it is on its way.');
    assert.equal(typesOf(stream).at(-1), 'message_completed');
    assert.ok(stream.events().every(({ id, data }) => id !== undefined && data.turn_id === worker.turn.id));
    const [first] = stream.events();
    const events = `${scene.origin}/v1/conversations/${conversation_id}/events`;
    const again = await readEvents(`${events}?since=${first?.id}`, { token: who.token });
    await eventually(() => assert.deepEqual(typesOf(again), typesOf(stream).slice(1)));
    again.close();
  });

  it('tells the end at once to who decides the same once more when all is over', async () => {
    const first = await decide('reject');
    const worker = await scene.work(who, conversation_id);
    await worker.say('As you like.');
    await worker.finish();
    await first.ended;
    const again = await decide('reject');
    // Sooner than the row is looked at while nothing comes, which is each five seconds.
    await eventually(() => assert.deepEqual(typesOf(again), ['message_completed']), { withinMs: 4_000 });
    await again.ended;
    const { message } = again.events()[0]?.data ?? {};
    assert.equal((message as { content?: string }).content, 'As you like.');
  });

  it('is refused in JSON, before any stream begins', async () => {
    const stranger = await scene.aUser({ tenant_id: who.tenant_id });
    assert.equal((await decide('approve', stranger)).status, 404);
    const first = await decide('approve');
    const other = await decide('reject');
    assert.equal(other.status, 409);
    assert.match(other.headers.get('content-type') ?? '', /^application\/problem\+json/);
    first.close();
    // Nobody reads it any more, and nothing is kept for it.
    await eventually(() => assert.equal(scene.live.feed.readers(), 0));
  });

  it('goes on when its reader leaves', async () => {
    const stream = await decide('approve');
    stream.close();
    await eventually(() => assert.equal(scene.live.feed.readers(), 0));
    const worker = await scene.work(who, conversation_id);
    await worker.say('Ordered.');
    await worker.finish();
    const { content, state } = (await scene.conversations.message(who, worker.turn.answer_id)) ?? {};
    assert.deepEqual([content, state], ['Ordered.', 'completed']);
  });
});
