/** What a reader sees when a process of the assistant is killed or frozen in the middle of an answer. */
import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { after, afterEach, before, beforeEach, describe, it } from 'mocha';
import { openTurnScene, readerOf, type TurnScene } from '../../services/chat/src/turn/scene.support.ts';
import { openTopics } from '../../services/chat/src/turn/start.support.ts';
import { eventually } from '../support/eventually.ts';
import { type FakeOpenAi, startFakeOpenAi } from '../support/fake-openai.ts';
import type { ChatProcess } from './chat-process.ts';
import { ownParts } from './own-parts.ts';

const pieces = ['We ', 'are ', 'open ', 'until ', 'ten ', '[1]', '.'];
const whole = 'We are open until ten [1].';
// The group notices a dead member after 8 s.
const takeover = { withinMs: 90_000 };

describe('an answer whose worker dies', function () {
  this.timeout(300_000);
  let scene: TurnScene;
  let topics: Awaited<ReturnType<typeof openTopics>>;
  let provider: FakeOpenAi;
  // Hooks run in their order: what lives on the parts ends before they do.
  after(async () => {
    await provider?.stop();
    await scene?.close();
  });
  ownParts();
  let started = 0;
  const children = new Map<string, ChildProcess>();

  before(async () => {
    scene = await openTurnScene();
    provider = await startFakeOpenAi();
  });
  beforeEach(async () => {
    // A group of its own: what a process killed by another test may have been handling counts as begun.
    topics = await openTopics();
  });
  afterEach(async () => {
    for (const name of children.keys()) await kill(name);
    await topics?.remove();
  });

  it('is begun anew by another when its process is killed, and told once', async () => {
    provider.reply({ text: pieces, betweenMs: 300 });
    for (let i = 0; i < 2; i += 1) await start();
    const asked = await ask();
    await eventually(() => assert.match(seen(asked.conversation)?.text ?? '', /^We are/));
    await kill(await workerOf(asked.turn_id));
    await eventually(() => assert.deepEqual(seen(asked.conversation)?.ends, ['message_completed']), takeover);

    const turn = seen(asked.conversation);
    assert.deepEqual([turn?.text, turn?.restarts], [whole, 1]);
    const message = await scene.message(asked.who, asked.answer_id);
    assert.deepEqual([message.content, message.state, message.citations.length], [whole, 'completed', 1]);
    assert.equal(provider.requests.length, 2);
  });

  it('is not asked for again when it was kept before the process died: only its end is told', async () => {
    provider.reply({ text: pieces });
    const before = provider.requests.length;
    await start({ endsAt: 'finished' });
    const asked = await ask();
    await eventually(() => assert.equal(children.size, 0), takeover);
    assert.deepEqual(seen(asked.conversation)?.ends, []);
    await start();
    await eventually(() => assert.deepEqual(seen(asked.conversation)?.ends, ['message_completed']), takeover);
    assert.deepEqual([seen(asked.conversation)?.text, seen(asked.conversation)?.restarts], [whole, 0]);
    assert.equal(provider.requests.length, before + 1);
  });

  it('fails visibly when it has ended three processes, and the conversation goes on', async () => {
    provider.reply({ text: pieces });
    await start({ endsAt: 'claimed' });
    const asked = await ask();
    for (let deaths = 1; deaths <= 3; deaths += 1) {
      await eventually(() => assert.equal(children.size, 0), takeover);
      // The last one lives long enough to say that the record is given up.
      await start(deaths < 3 ? { endsAt: 'claimed' } : {});
    }
    await eventually(() => assert.deepEqual(seen(asked.conversation)?.ends, ['message_failed']), takeover);
    assert.equal((await scene.message(asked.who, asked.answer_id)).error_code, 'internal_error');
    const next = await scene.ask(asked.who, asked.conversation, 'And on Sunday?');
    await topics.request(next.record);
    await eventually(() => assert.deepEqual(turnsOf(asked.conversation)[1]?.text, whole), takeover);
  });

  it('is another’s when its process was only frozen, which then says nothing that a reader hears', async () => {
    provider.reply({ text: pieces, betweenMs: 300 });
    for (let i = 0; i < 2; i += 1) await start();
    const asked = await ask();
    await eventually(() => assert.match(seen(asked.conversation)?.text ?? '', /^We/));
    const frozen = await workerOf(asked.turn_id);
    children.get(frozen)?.kill('SIGSTOP');
    await eventually(() => assert.deepEqual(seen(asked.conversation)?.ends, ['message_completed']), takeover);
    const kept = await scene.message(asked.who, asked.answer_id);
    children.get(frozen)?.kill('SIGCONT');

    // It is a member again when it answers what comes next; nothing of what it was doing is left then.
    const next = await scene.ask(asked.who, asked.conversation, 'And on Sunday?');
    await topics.request(next.record);
    await eventually(async () => {
      const second = turnsOf(asked.conversation)[1];
      assert.deepEqual([second?.text, second?.ends], [whole, ['message_completed']]);
    }, takeover);
    const [turn] = turnsOf(asked.conversation);
    assert.deepEqual([turn?.text, turn?.ends, turn?.restarts], [whole, ['message_completed'], 1]);
    assert.deepEqual(await scene.message(asked.who, asked.answer_id), kept);
  });

  it('ends at the provider, too, when its reader stops it', async () => {
    provider.reply({ text: pieces, breaks: { after: 2, how: 'stall' } });
    await start();
    const asked = await ask();
    await eventually(() => assert.match(seen(asked.conversation)?.text ?? '', /^We are/));
    const closed = provider.closedEarly.length;
    await scene.stop(asked.who, asked.conversation);
    await topics.request({ ...asked.record, event_type: 'stop_requested' });
    await eventually(() => assert.equal(provider.closedEarly.length, closed + 1));
    await eventually(() => assert.deepEqual(seen(asked.conversation)?.ends, ['message_stopped']));
    assert.equal((await scene.message(asked.who, asked.answer_id)).content, 'We are');
  });

  async function ask() {
    const who = scene.aUser();
    const conversation = await scene.open(who);
    const asked = await scene.ask(who, conversation);
    await topics.request(asked.record);
    return { who, conversation, ...asked };
  }

  async function start(changes: Partial<ChatProcess> = {}): Promise<void> {
    started += 1;
    const said: ChatProcess = {
      names: topics.names,
      instance: `chat-${started}`,
      database: scene.database,
      modelUrl: provider.url,
      ...changes,
    };
    const file = new URL('./chat-process.ts', import.meta.url);
    const child = fork(file, [JSON.stringify(said)], { execArgv: [] });
    children.set(said.instance, child);
    child.on('exit', () => children.delete(said.instance));
    // It may be gone before it could say that it is ready.
    await Promise.race([once(child, 'message'), once(child, 'exit')]);
  }

  async function kill(name: string): Promise<void> {
    const child = children.get(name);
    assert.ok(child, `${name} does not run`);
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  async function workerOf(turnId: string): Promise<string> {
    const { rows } = await scene.owner.query<{ worker: string }>(
      'SELECT worker FROM chat.turn WHERE id = $1',
      [turnId],
    );
    return rows[0]?.worker ?? '';
  }

  const turnsOf = (conversation: string) =>
    readerOf(topics.told.filter(({ conversation_id }) => conversation_id === conversation)).turns;
  const seen = (conversation: string) => turnsOf(conversation)[0];
});
