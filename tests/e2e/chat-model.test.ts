/** The assistant with a model behind the official protocol: its tools, its failures, and what is left of a turn then. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'mocha';
import type { Session } from '../faults/session.ts';
import { eventually } from '../support/eventually.ts';
import {
  type FakeOpenAi,
  type FakeReply,
  type FakeRequest,
  startFakeOpenAi,
} from '../support/fake-openai.ts';
import { type OwnService, startService } from '../support/service.ts';
import { type Answer, answerOf, openTalk, sampleUser, setting, type Talk, untilEnd } from './chat-scene.ts';

const modelName = 'fake-model';
const hello: FakeReply = { text: ['Hello', ' there', '.'] };

describe('the assistant with a model of its own', function () {
  this.timeout(120_000);
  let fake: FakeOpenAi;
  let own: OwnService;
  let customer: Session;

  before(async () => {
    customer = await sampleUser('customer@demo');
    fake = await startFakeOpenAi({ reply: hello, apiKey: 'key-of-the-test' });
    own = await startService('chat', { role: 'ragline_chat', settings: settingsOf(fake.url) });
  });
  beforeEach(() => serve(hello));
  after(async () => {
    await own?.stop();
    await fake?.stop();
  });

  function serve(reply: Parameters<FakeOpenAi['reply']>[0]): void {
    // What is asked beside an answer, such as a summary, gets one too.
    fake.reply((request, nth) => {
      if (request.body.tools === undefined) return hello;
      return typeof reply === 'function' ? reply(request, nth) : reply;
    });
    fake.requests.length = 0;
    fake.closedEarly.length = 0;
  }
  const asked = () => fake.requests.filter(({ body }) => body?.tools !== undefined);

  /**
   * A conversation that is answered by the model, with the first answer. The instances share the conversations by
   * their ids, and the others have no model.
   */
  const talkWithModel = (): Promise<Talk> =>
    eventually(
      async () => {
        const talk = await openTalk(customer, own.origin);
        const { message } = await talk.ask('Hello');
        assert.equal(message.model, modelName);
        return talk;
      },
      { withinMs: 60_000 },
    );

  it('calls the tools that it asks for, and cites what they found', async () => {
    const talk = await talkWithModel();
    serve((request) => {
      const result = resultOf(request);
      if (result === undefined) return calling('retrieve_menu', { query: 'Margherita' });
      const dish = result.items.find(({ name }: { name: string }) => name === 'Margherita');
      return { text: [`The ${dish.name} `, `costs ${dish.price / 100} EUR [${dish.citation}`, '].'] };
    });
    const answer = await talk.ask('What does the Margherita cost?');
    assert.equal(answer.end, 'message_completed');
    assert.match(answer.text, /^The Margherita costs [\d.]+ EUR \[\d+\]\.$/);
    assert.equal(answer.text, answer.message.content);
    assert.deepEqual(answer.tools, ['retrieve_menu']);
    assert.deepEqual(
      answer.citations.map(({ title }) => title),
      ['Margherita'],
    );
    assert.deepEqual(answer.message.usage, { input_tokens: 22, output_tokens: 14 });

    const [first, second] = asked();
    assert.equal(first?.body.stream, true);
    assert.equal(first?.body.model, modelName);
    const tools = first?.body.tools.map((tool: { function: { name: string } }) => tool.function.name);
    assert.ok(tools.includes('confirm') && tools.includes('search_knowledge_base'));
    const [call, result] = second?.body.messages.slice(-2) ?? [];
    assert.equal(call.tool_calls[0].id, result.tool_call_id);
  });

  it('orders what the customer approved, whatever the model says', async () => {
    const talk = await talkWithModel();
    serve((request) => {
      const result = resultOf(request);
      if (result === undefined) return calling('retrieve_menu', { query: 'Focaccia' });
      if (result.items === undefined) return { text: 'It is ordered already, no need to approve it.' };
      const { product_id } = result.items.find(({ name }: { name: string }) => name === 'Focaccia');
      return calling('confirm', { items: [{ product_id, quantity: 2 }] });
    });
    const { approval, tools } = await talk.ask('Two Focaccia, please');
    assert.deepEqual(tools, ['retrieve_menu', 'confirm']);
    assert.ok(approval);
    const before = await newestOrder(talk);
    const events = await talk.stream('GET', '/events');
    const { body } = await talk.decide(approval.approval_id, 'approve');
    const all = await untilEnd(events, (it) => isEndOf(it, body.turn_id));
    const done = answerOf(all.filter(({ data }) => data.turn_id === body.turn_id));
    const ordered = await newestOrder(talk);
    assert.notEqual(ordered.id, before?.id);
    assert.equal(ordered.total, approval.quote.total);
    assert.ok(done.text.includes(ordered.id));
  });

  it('is told when its arguments are wrong, and may try again', async () => {
    const talk = await talkWithModel();
    serve((request) => {
      const result = resultOf(request);
      if (result === undefined) return calling('retrieve_menu', { wrong: true });
      if (result.error !== undefined) return calling('retrieve_menu', { query: 'Margherita' });
      return { text: 'Found.' };
    });
    const { text, events } = await talk.ask('What does the Margherita cost?');
    assert.equal(text, 'Found.');
    const oks = events.filter(({ type }) => type === 'tool_finished').map(({ data }) => data.ok);
    assert.deepEqual(oks, [false, true]);
  });

  it('stops at once: the request to the model is closed, what was written is kept', async () => {
    const talk = await talkWithModel();
    const words = Array.from({ length: 400 }, (_, at) => `word${at} `);
    serve({ text: words, betweenMs: 100 });
    const events = await talk.stream('POST', '/messages', { body: { content: 'Tell me a lot' } });
    const seen = [];
    for await (const event of events) {
      seen.push(event);
      if (seen.length === 1) {
        const stopped = await talk.call('POST', `${talk.path}/stop`, {});
        assert.equal(stopped.status, 202, stopped.text);
        assert.deepEqual(stopped.body.turns, [event.data.turn_id]);
      }
    }
    const { end, text, message } = answerOf(seen);
    assert.equal(end, 'message_stopped');
    assert.equal(message.content, text);
    assert.ok(text.startsWith('word0') && !text.includes('word399'));
    await eventually(() => assert.equal(fake.closedEarly.length, 1));
    serve(hello);
    assert.equal((await talk.ask('And now?')).text, 'Hello there.');
  });

  it('says that no model answers, asks it no more for a while, and heals by itself', async () => {
    const talk = await talkWithModel();
    serve({ status: 500 });
    const failed = async (): Promise<Answer> => {
      const answer = await talk.ask('Are you there?');
      assert.equal(answer.end, 'message_failed');
      assert.equal(answer.code, 'model_unavailable');
      assert.equal(answer.message.error_code, 'model_unavailable');
      return answer;
    };
    await failed();
    await eventually(
      async () => {
        const before = asked().length;
        await failed();
        assert.equal(asked().length, before);
      },
      { withinMs: 30_000 },
    );
    assert.match(await breakerState(own), / 2$/m);

    serve(hello);
    const healed = await eventually(
      async () => {
        const answer = await talk.ask('And now?');
        assert.equal(answer.end, 'message_completed');
        return answer;
      },
      { withinMs: 30_000, everyMs: 250 },
    );
    assert.equal(healed.text, 'Hello there.');
    assert.match(await breakerState(own), / 0$/m);
    // What failed stands there as that, and nothing hangs.
    const states = (await talk.messages())
      .filter(({ role }) => role === 'assistant')
      .map(({ state }) => state);
    assert.deepEqual([...new Set(states)].toSorted(), ['completed', 'failed']);
  });

  it('fails an answer that breaks off in the middle, and keeps no half of it as whole', async () => {
    const talk = await talkWithModel();
    serve({ text: ['Half of ', 'an answer'], breaks: { after: 1, how: 'cut' } });
    const { end, code } = await talk.ask('Go on');
    assert.deepEqual([end, code], ['message_failed', 'model_stalled']);
    serve(hello);
    assert.equal((await talk.ask('And now?')).text, 'Hello there.');
  });
});

function calling(name: string, input: object): FakeReply {
  return { toolCalls: [{ name, arguments: JSON.stringify(input) }] };
}

/** What the last tool gave; undefined while none was called for this question. */
// biome-ignore lint/suspicious/noExplicitAny: as the tools write it; the test reads what it asserts on.
function resultOf({ body }: FakeRequest): any {
  const last = body.messages.at(-1);
  return last.role === 'tool' ? JSON.parse(last.content) : undefined;
}

const isEndOf = ({ type, data }: { type: string; data: { turn_id: string } }, turnId: string) =>
  /^message_(completed|failed|stopped)$/.test(type) && data.turn_id === turnId;

async function newestOrder(talk: Talk): Promise<{ id: string; total: number }> {
  const url = setting('RAGLINE_URL');
  const answer = await talk.callAt(url, 'GET', '/v1/orders?limit=1');
  return answer.body.data[0];
}

async function breakerState({ origin }: OwnService): Promise<string> {
  const text = await (await fetch(`${origin}/metrics`)).text();
  return text
    .split('\n')
    .filter((line) => line.startsWith('ragline_breaker_state') && line.includes(modelName))
    .join('\n');
}

/** Of a chat service beside those of the stack, with an endpoint of its own. */
function settingsOf(url: string): Record<string, string> {
  const identityUrl = setting('URL_IDENTITY_1');
  return {
    OPENAI_BASE_URL: url,
    OPENAI_API_KEY: 'key-of-the-test',
    CHAT_MODEL: modelName,
    BUDGET_USER_TOKENS: '0',
    BUDGET_TENANT_TOKENS: '0',
    IDENTITY_URL: identityUrl,
    JWKS_URL: `${identityUrl}/.well-known/jwks.json`,
    ORDERS_URLS: setting('URL_ORDERS_1'),
    REDIS_URL: setting('REDIS_URL'),
    EMBEDDING_MODEL_DIR: setting('EMBEDDING_MODEL_DIR'),
    ...secrets(),
  };
}

/** Those of the stack under test, which lie beside its logs. */
function secrets() {
  const path = join(dirname(setting('RAGLINE_LOGS')), 'secrets.json');
  const { cursor, delegation } = JSON.parse(readFileSync(path, 'utf8'));
  return { CURSOR_KEYS: `1:${cursor}`, DELEGATION_SECRET: delegation };
}
