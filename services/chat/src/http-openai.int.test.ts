import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { inTenant } from '@ragline/postgres/pool';
import { after, before, beforeEach, describe, it } from 'mocha';
import OpenAI from 'openai';
import { eventually } from '../../../tests/support/eventually.ts';
import { addOpenAiRoutes } from './http-openai.ts';
import { type LiveScene, openLiveScene, type TestUser } from './live/live.support.ts';
import { ModelError } from './model/model.ts';
import { createPlaces } from './turn/places.ts';
import { createTurnRequests } from './turn/requests.ts';
import { aRetriever, limits, quiet, testPrompt } from './turn/scene.support.ts';
import { aModel, calling, ended, type Script, saying } from './turn/turn.support.ts';

describe('the official openai client', function () {
  this.timeout(60_000);
  let scene: LiveScene;
  let who: TestUser;
  let client: OpenAI;
  let script: Script = () => saying('We are open ', 'until ten [1]', '.');
  const model = aModel((request, nth) => script(request, nth));

  before(async () => {
    const budgets = { tenantTokens: 0, userTokens: 2_000 };
    scene = await openLiveScene({ budgets }, ({ api, live, pool, authentication }) => {
      addOpenAiRoutes(api, {
        ...{ pool, model, retriever: aRetriever(), authentication, log: quiet, prompt: testPrompt },
        ...{ budgets: live.budgets, admission: live.admission, limits, deadlineMs: 3_000 },
        places: createPlaces({ openTurnsMax: 4, openTurnsOfUserMax: 2 }),
      });
    });
  });
  after(() => scene?.close());
  beforeEach(async () => {
    who = await scene.aUser();
    client = clientOf(who.token);
    model.requests.length = 0;
    script = () => saying('We are open ', 'until ten [1]', '.');
  });

  const clientOf = (apiKey: string) => new OpenAI({ apiKey, baseURL: `${scene.origin}/v1/openai` });
  const messages = [{ role: 'user' as const, content: 'Are you open on Sunday?' }];
  const refused = async (asking: Promise<unknown>) => {
    const error = await asking.then(
      () => assert.fail('it was answered'),
      (it: unknown) => it,
    );
    assert.ok(error instanceof OpenAI.APIError);
    return error;
  };

  it('gets an answer from the knowledge of its tenant, and what it used', async () => {
    const answer = await client.chat.completions.create({ model: 'gpt-4o', messages });
    assert.equal(answer.choices[0]?.message.content, 'We are open until ten [1].');
    assert.equal(answer.choices[0]?.finish_reason, 'stop');
    assert.deepEqual(answer.usage, { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 });
    assert.match(model.requests[0]?.messages[0]?.content ?? '', /nine to ten/);
    assert.equal(model.requests[0]?.who.tenant_id, who.tenant_id);
    const { rows } = await inTenant(scene.pool, who.tenant_id, (it) =>
      it.query('SELECT input_tokens::int, output_tokens::int FROM chat.token_budget'),
    );
    assert.deepEqual(rows, [{ input_tokens: 10, output_tokens: 5 }]);
  });

  it('streams, with the usage when it asks for it', async () => {
    const stream_options = { include_usage: true };
    const stream = await client.chat.completions.create({
      model: 'x',
      messages,
      stream: true,
      stream_options,
    });
    let text = '';
    let usage: unknown;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      usage = chunk.usage ?? usage;
    }
    assert.equal(text, 'We are open until ten [1].');
    assert.deepEqual(usage, { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 });
  });

  it('gets calls of its own tools back, streamed too, and sends their results', async () => {
    script = (_request, nth) => (nth % 2 === 1 ? calling('get_weather') : saying('It is sunny.'));
    const tools = [
      { type: 'function' as const, function: { name: 'get_weather', parameters: { type: 'object' } } },
    ];
    const first = await client.chat.completions.create({ model: 'x', messages, tools });
    const [choice] = first.choices;
    assert.equal(choice?.finish_reason, 'tool_calls');
    assert.deepEqual(
      model.requests[0]?.tools.map(({ name }) => name),
      ['get_weather'],
    );
    const [call] = choice.message.tool_calls ?? [];
    assert.ok(call?.type === 'function' && call.function.name === 'get_weather');
    const result = { role: 'tool' as const, tool_call_id: call.id, content: '{"sky":"clear"}' };
    const second = await client.chat.completions.create({
      model: 'x',
      messages: [...messages, choice.message, result],
      tools,
    });
    assert.equal(second.choices[0]?.message.content, 'It is sunny.');
    assert.equal(model.requests[1]?.messages.at(-1)?.tool_call_id, call.id);
    const runner = client.chat.completions.stream({ model: 'x', messages, tools });
    assert.equal((await runner.finalChatCompletion()).choices[0]?.message.tool_calls?.length, 1);
  });

  it('reads errors as it knows them', async () => {
    const noToken = await refused(clientOf('none').chat.completions.create({ model: 'x', messages }));
    assert.ok(noToken instanceof OpenAI.AuthenticationError);
    assert.equal(noToken.code, 'invalid_api_key');
    const twice = await refused(client.chat.completions.create({ model: 'x', messages, n: 2 }));
    assert.deepEqual([twice.status, twice.param, twice.code], [400, 'n', 'unsupported_parameter']);
    const long = [{ role: 'user' as const, content: 'x'.repeat(100_000) }];
    const tooLong = await refused(
      clientOf((await scene.aUser()).token).chat.completions.create({ model: 'x', messages: long }),
    );
    assert.deepEqual([tooLong.status, tooLong.code], [400, 'context_length_exceeded']);
    const tooLarge = [{ role: 'user' as const, content: 'x'.repeat(1_100_000) }];
    assert.equal(
      (await refused(client.chat.completions.create({ model: 'x', messages: tooLarge }))).status,
      413,
    );
  });

  it('hears of a model that breaks off in the middle of a stream', async () => {
    script = async function* () {
      yield { kind: 'text', text: 'We ' };
      throw new ModelError('model_stalled', 'Nothing more came');
    };
    const stream = await client.chat.completions.create({ model: 'x', messages, stream: true });
    const error = await refused(
      (async () => {
        for await (const _ of stream);
      })(),
    );
    assert.equal(error.code, 'model_stalled');
  });

  it('is refused once the tokens of the day are used up, without asking again and again', async () => {
    script = () => [
      { kind: 'text', text: 'Yes.' },
      { ...ended('stop'), usage: { input_tokens: 1_990, output_tokens: 10 } },
    ];
    await client.chat.completions.create({ model: 'x', messages });
    const error = await refused(client.chat.completions.create({ model: 'x', messages }));
    assert.equal(error.status, 429);
    assert.equal(error.code, 'budget_exhausted');
    assert.ok(Number(error.headers?.get('retry-after')) > 0);
    assert.equal(model.requests.length, 1);
  });

  it('may set any ceiling for the answer, and still has its sources', async () => {
    await client.chat.completions.create({ model: 'x', messages, max_tokens: 128_000 });
    assert.match(model.requests[0]?.messages[0]?.content ?? '', /nine to ten/);
  });

  it('is not charged for a model that could not be reached', async () => {
    script = async function* () {
      yield* [];
      throw new ModelError('model_refused', 'No such model');
    };
    await refused(client.chat.completions.create({ model: 'x', messages }));
    const { rows } = await inTenant(scene.pool, who.tenant_id, (it) =>
      it.query('SELECT sum(input_tokens + output_tokens)::int AS tokens FROM chat.token_budget'),
    );
    assert.deepEqual(rows, [{ tokens: 0 }]);
  });

  it('is let go when it does not read, at the latest with the deadline', async () => {
    let isEnded = false;
    script = async function* () {
      try {
        for (;;) yield { kind: 'text', text: 'x'.repeat(100_000) };
      } finally {
        isEnded = true;
      }
    };
    const { hostname, port } = new URL(scene.origin);
    const body = JSON.stringify({ model: 'x', messages, stream: true });
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    socket.write(
      `POST /v1/openai/chat/completions HTTP/1.1\r\nhost: ${hostname}\r\nauthorization: Bearer ${who.token}\r\n` +
        `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    await once(socket, 'readable');
    await eventually(() => isEnded, { withinMs: 8_000 });
    socket.destroy();
  });

  it('finds the one model, and is told in its own form of what there is not', async () => {
    assert.deepEqual(
      (await client.models.list()).data.map(({ id }) => id),
      ['ragline'],
    );
    assert.equal((await client.models.retrieve('ragline')).id, 'ragline');
    const noModel = await refused(client.models.retrieve('gpt-4o'));
    assert.deepEqual([noModel.status, noModel.code, noModel.param], [404, 'model_not_found', 'model']);
    const noPath = await refused(client.embeddings.create({ model: 'x', input: 'x' }));
    assert.deepEqual([noPath.status, noPath.code, noPath.type], [404, 'not_found', 'invalid_request_error']);
  });

  it('has places among the open turns of its user and tenant, and leaves them', async () => {
    const told = Promise.withResolvers<void>();
    script = async function* () {
      yield { kind: 'text', text: 'We ' };
      await told.promise;
      yield* saying('are.');
    };
    const own = { maxRetries: 0 };
    const of = (it: OpenAI) => it.chat.completions.create({ model: 'x', messages, stream: true }, own);
    // A question that waits in a conversation counts like an answer that is being made.
    const conversation_id = await scene.open(who);
    const turns = await createTurnRequests(scene.codec, { openTurnsMax: 4, openTurnsOfUserMax: 2 });
    const ask = (content: string) =>
      inTenant(scene.pool, who.tenant_id, (it) => turns.requestTurn(it, { who, conversation_id, content }));
    await ask('Are you open?');
    const running = await of(client);
    const tooMany = await refused(of(client));
    assert.ok(tooMany instanceof OpenAI.RateLimitError);
    assert.deepEqual([tooMany.code, tooMany.type], ['rate_limit_exceeded', 'rate_limit_error']);
    await assert.rejects(ask('And tomorrow?'), { code: 'rate_limited' });
    // Another user of the tenant still has room, until the tenant has none.
    const others = [];
    for (let nth = 0; nth < 2; nth += 1) {
      const { token } = await scene.aUser({ tenant_id: who.tenant_id });
      others.push(await of(clientOf(token)));
    }
    const { token } = await scene.aUser({ tenant_id: who.tenant_id });
    assert.equal((await refused(of(clientOf(token)))).status, 429);
    told.resolve();
    for (const stream of [running, ...others]) for await (const _ of stream);
    for await (const _ of await of(client));
  });
});
