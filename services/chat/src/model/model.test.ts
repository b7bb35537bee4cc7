import assert from 'node:assert/strict';
import { readSettings, SettingsError } from '@ragline/runtime/settings';
import { describe, it } from 'mocha';
import { APIConnectionError, APIError } from 'openai';
import { attempt } from './attempt.ts';
import { eventOf } from './calls.ts';
import type { Piece } from './endpoint.ts';
import { afterFailure, CutError, isHarmless, LateError, refusedParameter } from './failures.ts';
import { aRequest } from './model.support.ts';
import { costOf } from './prices.ts';
import { loadPrompts, promptOf } from './prompts.ts';
import { readModelSettings } from './settings.ts';
import { collectToolCalls } from './tool-calls.ts';

const anError = (status: number | undefined, error: object = {}, headers: Record<string, string> = {}) =>
  APIError.generate(status, { error: { message: 'no', ...error } }, undefined, new Headers(headers));

describe('what follows a failure', () => {
  const cases: [what: string, error: unknown, step: object][] = [
    ['an unreachable endpoint', new APIConnectionError({}), { kind: 'retry', reason: 'unreachable' }],
    ['a cut connection', new CutError(), { kind: 'retry', reason: 'cut' }],
    ['a failing server', anError(502), { kind: 'retry', reason: 'status_502' }],
    [
      'too many requests',
      anError(429, {}, { 'retry-after': '2' }),
      { kind: 'retry', reason: 'status_429', afterMs: 2_000 },
    ],
    [
      'a spent budget',
      anError(429, { code: 'insufficient_quota' }),
      { kind: 'next_model', code: 'model_unavailable', reason: 'insufficient_quota' },
    ],
    ['a late token', new LateError(false), { kind: 'next_model', code: 'model_unavailable', reason: 'late' }],
    ['an unknown model', anError(404), { kind: 'next_model', code: 'model_refused', reason: 'status_404' }],
    [
      'too long a context',
      anError(400, { code: 'context_length_exceeded' }),
      { kind: 'next_model', code: 'context_too_long', reason: 'too_long' },
    ],
    [
      'too long a context in words alone',
      anError(400, { message: "This model's maximum context length is 4096 tokens" }),
      { kind: 'next_model', code: 'context_too_long', reason: 'too_long' },
    ],
    [
      'refused content',
      anError(400, { code: 'content_filter' }),
      { kind: 'give_up', code: 'content_refused', reason: 'content_filter' },
    ],
  ];
  for (const [what, error, step] of cases) {
    it(`of ${what}`, () => assert.deepEqual(afterFailure(error), step));
  }

  it('counts against an endpoint unless the request was at fault', () => {
    assert.ok(isHarmless(anError(400)));
    assert.ok(!isHarmless(anError(401)));
    assert.ok(!isHarmless(anError(503)));
    assert.ok(!isHarmless(new LateError(true)));
  });

  it('names the parameter that was refused, if it was one of those that were sent', () => {
    const sent = ['stream_options', 'max_tokens'] as const;
    assert.equal(
      refusedParameter(anError(400, { message: "Unknown field 'stream_options'" }), sent),
      'stream_options',
    );
    assert.equal(
      refusedParameter(anError(400, { param: 'max_tokens', code: 'unsupported_parameter' }), sent),
      'max_tokens',
    );
    assert.equal(
      refusedParameter(
        anError(422, { message: '{"type":"extra_forbidden","loc":["body","max_tokens"]}' }),
        sent,
      ),
      'max_tokens',
    );
    assert.equal(refusedParameter(anError(400, { message: 'messages is empty' }), sent), undefined);
    assert.equal(refusedParameter(anError(500, { message: 'unknown max_tokens' }), sent), undefined);
  });

  it('takes no complaint about a value for one about a parameter', () => {
    const sent = ['stream_options', 'max_completion_tokens', 'max_tokens'] as const;
    for (const body of [
      {
        message: 'max_tokens is too large: 100000. This model supports at most 4096 completion tokens.',
        param: 'max_tokens',
        code: 'invalid_value',
      },
      {
        message:
          "'max_tokens' or 'max_completion_tokens' is too large: 800. This model's maximum context length is 4096 tokens",
      },
      { message: 'max_tokens must be less than or equal to 8192', param: 'max_tokens' },
      { message: 'Unsupported value: max_tokens exceeds what is allowed' },
    ]) {
      assert.equal(refusedParameter(anError(400, body), sent), undefined, body.message);
    }
  });
});

describe('an answer', () => {
  it('is whole once it has finished, though its connection breaks before the usage', async () => {
    const breaker = {
      fire: (life: () => Promise<void>) => life(),
      state: () => 'closed' as const,
      stop: () => {},
    };
    const endpoint = {
      host: 'x',
      model: 'm',
      async *pieces(): AsyncGenerator<Piece, void> {
        yield { kind: 'text', text: 'all' };
        yield { kind: 'finish', finish: 'stop', calls: [] };
        throw new CutError();
      },
    };
    const kinds: string[] = [];
    const deadlines = { firstTokenMs: 1_000, stallMs: 1_000 };
    for await (const { kind } of attempt(breaker, endpoint, aRequest(), deadlines)) kinds.push(kind);
    assert.deepEqual(kinds, ['text', 'finish']);
  });
});

describe('streamed tool calls', () => {
  it('are put together by index, or by id where all have the same index', () => {
    const byIndex = collectToolCalls();
    byIndex.add({ index: 0, id: 'a', function: { name: 'one', arguments: '{"x"' } });
    byIndex.add({ index: 1, id: 'b', function: { name: 'two', arguments: '' } });
    byIndex.add({ index: 0, function: { arguments: ':1}' } });
    assert.deepEqual(byIndex.calls(), [
      { id: 'a', name: 'one', arguments: '{"x":1}' },
      { id: 'b', name: 'two', arguments: '{}' },
    ]);
    const byId = collectToolCalls();
    byId.add({ index: 0, id: 'a', function: { name: 'one', arguments: '{}' } });
    byId.add({ index: 0, id: 'b', function: { name: 'two', arguments: '{}' } });
    assert.deepEqual(
      byId.calls().map(({ name }) => name),
      ['one', 'two'],
    );
  });

  it('get an id where the endpoint gives none', () => {
    const calls = collectToolCalls();
    calls.add({ function: { name: 'one', arguments: '{' } });
    calls.add({ function: { arguments: '}' } });
    const [call] = calls.calls();
    assert.match(call!.id, /^call_/);
    assert.equal(call!.arguments, '{}');
  });
});

describe('prompts', () => {
  it('have the version of their text, wherever it was checked out', () => {
    assert.equal(promptOf('a', 'Hello\r\n{{name}}\n').hash, promptOf('b', 'Hello\n{{name}}').hash);
    assert.notEqual(promptOf('a', 'Hello').hash, promptOf('a', 'Hello!').hash);
  });

  it('are filled once: what a value says is never a place', () => {
    const prompt = promptOf('a', 'To {{name}}: {{text}}');
    assert.equal(prompt.render({ name: '{{text}}', text: '$& {{name}}' }), 'To {{text}}: $& {{name}}');
    assert.throws(() => prompt.render({ name: 'x' }), /needs text/);
    assert.throws(() => prompt.render({ name: 'x', text: 'y', more: 'z' }), /no place for more/);
  });

  it('are all there, each with a version', () => {
    const prompts = loadPrompts();
    const names = ['analyse-conversation', 'assistant', 'conversation-summary', 'summarise-documents'];
    assert.deepEqual(
      prompts.names().filter((name) => names.includes(name)),
      names,
    );
    for (const name of prompts.names()) assert.match(prompts.prompt(name).hash, /^[0-9a-f]{16}$/);
    assert.throws(() => prompts.prompt('nobody'), /There is no prompt/);
  });
});

describe('costs', () => {
  it('are by a dated table, and unknown for a model that it lacks', () => {
    const usage = { input_tokens: 1_000, output_tokens: 200 };
    assert.deepEqual(costOf('gpt-4.1-mini', usage), { cost_microunits: 720, price_date: '2025-08-07' });
    assert.deepEqual(costOf('gpt-4.1-mini-2025-04-14', usage), costOf('gpt-4.1-mini', usage));
    assert.deepEqual(costOf('my-model', usage), { cost_microunits: null, price_date: null });
  });

  it('stand in the record of a call, which says nothing of what was said', () => {
    const request = aRequest();
    const usage = { input_tokens: 10, output_tokens: 5 };
    const call = { request, endpoint: 'host:1', model: 'gpt-4o', usage, ttftMs: 12.6, durationMs: 99.2 };
    const event = eventOf({ ...call, outcome: 'ok', errorCode: null }, new Date(0));
    assert.equal(event.ttft_ms, 13);
    assert.equal(event.cost_microunits, 75);
    assert.equal(event.prompt_hash, request.prompt.hash);
    assert.doesNotMatch(JSON.stringify(event), /vegan/);
  });
});

describe('settings of the model', () => {
  const read = (env: Record<string, string>) => readSettings(env, readModelSettings);

  it('ask nobody without a key and an address', () => {
    assert.equal(read({}).provider, 'offline');
    assert.equal(read({ OPENAI_API_KEY: 'k' }).provider, 'openai');
    assert.equal(read({ OPENAI_API_KEY: 'k', CHAT_PROVIDER: 'offline' }).provider, 'offline');
  });

  it('read the older name of the address, and prefer the newer', () => {
    assert.equal(read({ OPENAI_API_BASE: 'http://a/v1' }).baseUrl, 'http://a/v1');
    const both = { OPENAI_API_BASE: 'http://a/v1', OPENAI_BASE_URL: 'http://b/v1' };
    assert.equal(read(both).baseUrl, 'http://b/v1');
    assert.throws(() => read({ OPENAI_BASE_URL: 'b' }), SettingsError);
  });
});
