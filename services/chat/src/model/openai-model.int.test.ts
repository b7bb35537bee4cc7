import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../../../../tests/support/eventually.ts';
import { type FakeOpenAi, type FakeReply, startFakeOpenAi } from '../../../../tests/support/fake-openai.ts';
import { aRequest, eventsOf, modelOn, textOf } from './model.support.ts';
import { ModelError, type ModelRequest } from './model.ts';

describe('a model behind an OpenAI-compatible endpoint', () => {
  let fake: FakeOpenAi;
  before(async () => {
    fake = await startFakeOpenAi();
  });
  after(() => fake.stop());

  const served = (reply: Parameters<FakeOpenAi['reply']>[0]) => {
    fake.reply(reply);
    fake.requests.length = 0;
    fake.closedEarly.length = 0;
  };

  it('streams the text as it comes, with what the endpoint counted', async () => {
    served({
      text: ['The ', 'Marinara ', 'is vegan [1].'],
      usage: { prompt_tokens: 40, completion_tokens: 6 },
    });
    const { model, calls } = modelOn(fake.url);
    const events = await eventsOf(model);
    assert.deepEqual(
      events.map((event) => (event.kind === 'text' ? event.text : event.kind)),
      ['The ', 'Marinara ', 'is vegan [1].', 'end'],
    );
    assert.deepEqual(events.at(-1), {
      kind: 'end',
      finish: 'stop',
      model: 'first',
      usage: { input_tokens: 40, output_tokens: 6 },
    });
    const [call] = calls;
    assert.equal(calls.length, 1);
    assert.equal(call?.outcome, 'ok');
    assert.equal(call?.endpoint, new URL(fake.url).host);
    assert.deepEqual(call?.usage, { input_tokens: 40, output_tokens: 6 });
    assert.ok(call?.ttftMs !== null);
    model.stop();
  });

  it('counts by itself where the endpoint counts nothing', async () => {
    served({ text: ['one two ', 'three'], usage: null });
    const { model, calls } = modelOn(fake.url);
    const end = (await eventsOf(model)).at(-1);
    assert.ok(end?.kind === 'end' && end.usage.input_tokens > 0);
    assert.equal(end.usage.output_tokens, 3);
    assert.deepEqual(calls[0]?.usage, end.usage);
    model.stop();
  });

  it('puts streamed tool calls together, and sends calls and results back as the protocol has them', async () => {
    const wanted = [
      { id: 'call_a', name: 'retrieve_menu', arguments: '{"query":"vegan pizza"}' },
      { id: 'call_b', name: 'apply_promos', arguments: '{"items":[]}' },
    ];
    served({ toolCalls: wanted });
    const { model } = modelOn(fake.url);
    const tools = [{ name: 'retrieve_menu', description: 'The menu', parameters: { type: 'object' } }];
    const events = await eventsOf(model, aRequest({ tools }));
    assert.deepEqual(events.at(0), { kind: 'tool_calls', calls: wanted });
    assert.ok(events.at(-1)?.kind === 'end');

    served({ text: 'Yes.' });
    const messages: ModelRequest['messages'] = [
      { role: 'user', content: 'A vegan pizza?' },
      { role: 'assistant', content: '', tool_calls: wanted },
      { role: 'tool', content: '{"items":[]}', tool_call_id: 'call_a' },
    ];
    await eventsOf(model, aRequest({ tools, messages }));
    const [, assistant, tool] = fake.requests[0]!.body.messages;
    assert.equal(assistant.content, null);
    assert.deepEqual(assistant.tool_calls[0], {
      id: 'call_a',
      type: 'function',
      function: { name: 'retrieve_menu', arguments: '{"query":"vegan pizza"}' },
    });
    assert.deepEqual(tool, { role: 'tool', content: '{"items":[]}', tool_call_id: 'call_a' });
    assert.equal(fake.requests[0]?.body.tools[0].function.name, 'retrieve_menu');
    model.stop();
  });

  it('sends without the parameters that an endpoint refuses, and remembers them', async () => {
    served(({ body }): FakeReply => {
      if ('stream_options' in body) {
        return { status: 400, error: { message: 'Unrecognized request argument supplied: stream_options' } };
      }
      if ('max_tokens' in body) {
        return {
          status: 400,
          error: { message: 'Unsupported parameter', param: 'max_tokens', code: 'unsupported_parameter' },
        };
      }
      return { text: `limit ${body.max_completion_tokens}` };
    });
    const { model } = modelOn(fake.url);
    assert.equal(textOf(await eventsOf(model)), 'limit 200');
    assert.equal(fake.requests.length, 3);
    await eventsOf(model);
    assert.equal(fake.requests.length, 4);
    model.stop();
  });

  it('tries again before the first token: after a cut connection, an error of the server, too many requests', async () => {
    for (const fault of [
      { breaks: { after: 0, how: 'cut' } },
      { status: 500 },
      { status: 429, headers: { 'retry-after-ms': '5' } },
    ] satisfies FakeReply[]) {
      served((_, nth) => (nth < 2 ? fault : { text: 'at last' }));
      const { model, calls } = modelOn(fake.url);
      assert.equal(textOf(await eventsOf(model)), 'at last');
      assert.equal(fake.requests.length, 3);
      assert.deepEqual(
        calls.map(({ outcome }) => outcome),
        ['failed', 'failed', 'ok'],
      );
      model.stop();
    }
  });

  it('says that an answer broke off, and does not begin another', async () => {
    for (const how of ['cut', 'stall'] as const) {
      served({ text: ['It ', 'is '], breaks: { after: 1, how } });
      const { model } = modelOn(fake.url, { stallMs: 150, fallbackModels: ['second'] });
      await assert.rejects(eventsOf(model), { name: 'ModelError', code: 'model_stalled', retriable: true });
      assert.equal(fake.requests.length, 1);
      model.stop();
    }
  });

  it('asks the next model when the first token is late, and closes the connection of the first', async () => {
    served(({ body }) => (body.model === 'first' ? { hangs: true } : { text: 'from the second' }));
    const { model, calls } = modelOn(fake.url, { firstTokenMs: 120, fallbackModels: ['second'] });
    const events = await eventsOf(model);
    assert.equal(textOf(events), 'from the second');
    assert.deepEqual(
      calls.map(({ model: name, outcome }) => [name, outcome]),
      [
        ['first', 'failed'],
        ['second', 'ok'],
      ],
    );
    await eventually(() => assert.equal(fake.closedEarly.length, 1));
    model.stop();
  });

  it('asks no other model once the content was refused', async () => {
    served({ status: 400, error: { message: 'no', code: 'content_policy_violation' } });
    const { model } = modelOn(fake.url, { fallbackModels: ['second'] });
    await assert.rejects(eventsOf(model), { code: 'content_refused', retriable: false });
    served({ text: ['I '], finish: 'content_filter' });
    await assert.rejects(eventsOf(model), { code: 'content_refused' });
    assert.equal(fake.requests.length, 1);
    model.stop();
  });

  it('says what all models have in common when none answers, without the endpoint’s words', async () => {
    served({ status: 401, error: { message: 'Incorrect API key provided: a-key', code: 'invalid_api_key' } });
    const { model } = modelOn(fake.url, { fallbackModels: ['second'] });
    await assert.rejects(eventsOf(model), (error: unknown) => {
      assert.ok(error instanceof ModelError);
      assert.equal(error.code, 'model_refused');
      assert.doesNotMatch(`${error.message} ${JSON.stringify(error)}`, /a-key/);
      return true;
    });
    assert.equal(fake.requests.length, 2);
    served({ status: 400, error: { message: 'long', code: 'context_length_exceeded' } });
    await assert.rejects(eventsOf(model), { code: 'context_too_long' });
    model.stop();
  });

  it('lets the offline responder answer when it is on the list and the endpoint is away', async () => {
    const { model } = modelOn('http://127.0.0.1:1/v1', { fallbackModels: ['offline'] });
    assert.equal(textOf(await eventsOf(model)), 'offline');
    model.stop();
  });

  it('closes the connection to the endpoint at once when the turn is stopped, and asks nobody else', async () => {
    served({ text: ['One ', 'two ', 'three'], breaks: { after: 2, how: 'stall' } });
    const { model, calls } = modelOn(fake.url, { fallbackModels: ['second'] });
    const stopping = new AbortController();
    const why = new Error('stopped');
    const reading = (async () => {
      let pieces = 0;
      for await (const event of model.stream(aRequest({ signal: stopping.signal }))) {
        if (event.kind === 'text' && ++pieces === 2) stopping.abort(why);
      }
    })();
    await assert.rejects(reading, why);
    await eventually(() => assert.equal(fake.closedEarly.length, 1), { withinMs: 10_000 });
    assert.equal(fake.requests.length, 1);
    assert.equal(calls[0]?.outcome, 'stopped');
    assert.equal(model.states().first, 'closed');
    model.stop();
  });

  it('opens the breaker of a model that fails, sends it nothing meanwhile, and closes it after one good answer', async () => {
    served({ status: 503 });
    const { model, metrics } = modelOn(fake.url, { openMs: 300 });
    for (let turn = 0; turn < 2; turn++) {
      await assert.rejects(eventsOf(model), { code: 'model_unavailable', retriable: true });
    }
    assert.equal(model.states().first, 'open');
    const sent = fake.requests.length;
    await assert.rejects(eventsOf(model), { code: 'model_unavailable' });
    assert.equal(fake.requests.length, sent);
    assert.match(await metrics.text(), /ragline_breaker_state\{[^}]*first[^}]*\} 2/);

    served({ text: ['well ', 'again'] });
    await eventually(() => assert.equal(model.states().first, 'half_open'));
    assert.equal(textOf(await eventsOf(model)), 'well again');
    assert.equal(model.states().first, 'closed');
    model.stop();
  });

  it('opens the breaker again when its probe stalls', async () => {
    served({ status: 503 });
    const { model } = modelOn(fake.url, { openMs: 200, firstTokenMs: 100 });
    for (let turn = 0; turn < 2; turn++) await assert.rejects(eventsOf(model));
    await eventually(() => assert.equal(model.states().first, 'half_open'));
    served({ hangs: true });
    await assert.rejects(eventsOf(model), { code: 'model_unavailable' });
    assert.equal(model.states().first, 'open');
    model.stop();
  });

  it('lets others in as soon as the probe has its first token', async () => {
    served({ status: 503 });
    const { model } = modelOn(fake.url, { openMs: 200 });
    for (let turn = 0; turn < 2; turn++) await assert.rejects(eventsOf(model));
    await eventually(() => assert.equal(model.states().first, 'half_open'));
    served((_, nth) =>
      nth === 0 ? { text: ['slow', 'er'], breaks: { after: 1, how: 'stall' } } : { text: 'quick' },
    );
    const stopping = new AbortController();
    const probe = model.stream(aRequest({ signal: stopping.signal }))[Symbol.asyncIterator]();
    await probe.next();
    await eventually(() => assert.equal(model.states().first, 'closed'));
    assert.equal(textOf(await eventsOf(model)), 'quick');
    stopping.abort();
    await assert.rejects(probe.next());
    model.stop();
  });
});
