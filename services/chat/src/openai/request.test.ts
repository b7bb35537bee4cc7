import assert from 'node:assert/strict';
import { UnavailableError } from '@ragline/streams/errors';
import { problem } from '@ragline/web/problems';
import { describe, it } from 'mocha';
import { ModelError } from '../model/model.ts';
import { OpenAiError, openAiErrorFrom } from './errors.ts';
import { completionRequest } from './request.ts';

const user = { role: 'user', content: 'Hello' };
const tool = (name: string) => ({ type: 'function', function: { name } });

describe('a request in OpenAI’s wire format', () => {
  it('is read with whatever clients send besides', () => {
    const content = [
      { type: 'text', text: 'Hel' },
      { type: 'text', text: 'lo' },
    ];
    const read = completionRequest({
      ...{
        model: 'gpt-4o',
        temperature: 0.2,
        user: 'x',
        n: 1,
        stop: null,
        response_format: { type: 'text' },
      },
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'developer', content: 'Rhyme.' },
        { role: 'user', content },
      ],
      max_tokens: 50,
    });
    assert.equal(read.instructions, 'Be brief.\n\nRhyme.');
    assert.deepEqual(read.messages, [user]);
    assert.deepEqual([read.maxTokens, read.isStream, read.hasUsage], [50, false, false]);
  });

  it('offers the tools that its choice leaves', () => {
    const tools = [tool('one'), tool('two')];
    const offered = (tool_choice: unknown) =>
      completionRequest({ model: 'x', messages: [user], tools, tool_choice }).tools.map(({ name }) => name);
    assert.deepEqual(offered('auto'), ['one', 'two']);
    assert.deepEqual(offered('none'), []);
    assert.deepEqual(offered(tool('two')), ['two']);
    assert.throws(() => offered(tool('three')), OpenAiError);
  });

  const refused: [name: string, changes: object, param: string][] = [
    ['several answers', { n: 2 }, 'n'],
    ['stops', { stop: ['x'] }, 'stop'],
    ['JSON alone', { response_format: { type: 'json_object' } }, 'response_format'],
    ['pictures', { messages: [{ role: 'user', content: [{ type: 'image_url' }] }] }, 'messages'],
    ['no messages', { messages: [] }, 'messages'],
    ['an odd role', { messages: [{ role: 'king', content: 'x' }] }, 'messages[0].role'],
    ['a tool without a name', { tools: [tool('')] }, 'tools[0].function.name'],
    ['no tokens', { max_tokens: 0 }, 'max_tokens'],
  ];
  for (const [name, changes, param] of refused) {
    it(`is refused when it asks for ${name}, by the name of the parameter`, () => {
      assert.throws(
        () => completionRequest({ model: 'x', messages: [user], ...changes }),
        (error: unknown) =>
          error instanceof OpenAiError && error.status === 400 && error.told.param === param,
      );
    });
  }

  const errors: [error: unknown, status: number, code: string | null][] = [
    [problem('unauthenticated'), 401, 'invalid_api_key'],
    [problem('rate_limited'), 429, 'rate_limit_exceeded'],
    [problem('budget_exhausted'), 429, 'budget_exhausted'],
    [new ModelError('model_unavailable', 'x'), 503, 'model_unavailable'],
    [new ModelError('content_refused', 'x'), 400, 'content_filter'],
    [new UnavailableError('a secret of ours'), 503, 'unavailable'],
    [new TypeError('a secret of ours'), 500, 'internal'],
  ];
  it('fails with errors that its clients know, and that tell no secret', () => {
    for (const [error, status, code] of errors) {
      const told = openAiErrorFrom(error);
      assert.deepEqual([told.status, told.told.code], [status, code]);
      assert.doesNotMatch(told.told.message, /secret/);
    }
  });
});
