import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createMetrics } from '@ragline/runtime/metrics';
import { PermanentError, UnavailableError } from '@ragline/streams/errors';
import { after, afterEach, before, beforeEach, describe, it } from 'mocha';
import { type Embedder, TextTooLongError } from './embedder.ts';
import { createOpenAiEmbedder } from './openai-embedder.ts';

type Asked = { model: string; input: string[]; encoding_format: string; dimensions?: number };
type Answer = { status: number; body: unknown };

describe('an OpenAI-compatible embedder', () => {
  const asked: Asked[] = [];
  let answer: (request: Asked) => Answer;
  const server = createServer(async (req, res) => {
    const request: Asked = JSON.parse(Buffer.concat(await req.toArray()).toString());
    asked.push(request);
    const { status, body } = answer(request);
    res.writeHead(status, { 'content-type': 'application/json', 'x-should-retry': 'false' });
    res.end(JSON.stringify(body));
  });

  before((done) => void server.listen(0, '127.0.0.1', done));
  after((done) => void server.close(() => done()));
  beforeEach(() => {
    asked.length = 0;
    answer = withVectors((text) => [text.length, 0, 0]);
  });

  const made: Embedder[] = [];
  afterEach(async () => {
    for (const each of made.splice(0)) await each.stop();
  });

  function embedder({ name = 'text-embedding-3-small', dimensions = 3, maxTokens = 100 } = {}) {
    const { port } = server.address() as AddressInfo;
    const baseUrl = `http://127.0.0.1:${port}/v1`;
    const metrics = createMetrics({ service: 'test' });
    const created = createOpenAiEmbedder({
      baseUrl,
      apiKey: 'key',
      name,
      dimensions,
      maxTokens,
      timeoutMs: 5_000,
      metrics,
    });
    made.push(created);
    return created;
  }

  it('asks for base64 and that many dimensions, and makes vectors 1 long', async () => {
    answer = withVectors((text) => [3 * text.length, 4 * text.length, 0], 'base64');
    const vectors = await embedder().embed(['a', 'bb']);
    assert.deepEqual(
      vectors.map((vector) => [...vector].map((value) => Math.round(value * 10) / 10)),
      [
        [0.6, 0.8, 0],
        [0.6, 0.8, 0],
      ],
    );
    const [{ encoding_format, dimensions, input } = {} as Asked] = asked;
    assert.deepEqual([encoding_format, dimensions, input], ['base64', 3, ['a', 'bb']]);
  });

  it('reads numbers from endpoints that know no base64, in whatever order, and asks others for no size', async () => {
    answer = ({ input }) => ({
      status: 200,
      body: { data: input.map((_, index) => ({ index, embedding: [index, 1, 0] })).reverse() },
    });
    const [first, second] = await embedder({ name: 'bge-small' }).embed(['a', 'b']);
    assert.deepEqual([first?.[0], second?.[0]?.toFixed(3)], [0, '0.707']);
    assert.equal(asked[0]?.dimensions, undefined);
  });

  it('asks in several requests for many texts, and keeps their order', async () => {
    answer = withVectors((text) => [Number(text), 1, 0]);
    const vectors = await embedder().embed(Array.from({ length: 600 }, (_, at) => String(at)));
    assert.deepEqual(
      asked.map(({ input }) => input.length),
      [256, 256, 88],
    );
    assert.ok(vectors.every((vector, at) => Math.abs((vector[0] ?? 0) / (vector[1] ?? 1) - at) < 0.01));
  });

  it('takes a text that spells a special token for text like any other', async () => {
    const text = 'what is <|endoftext|>?';
    const created = embedder();
    assert.ok(created.countTokens(text) > 5);
    const [vector] = await created.embed([text]);
    assert.equal(vector?.length, 3);
    assert.deepEqual(asked[0]?.input, [text]);
  });

  it('refuses a text that is too long before it asks', async () => {
    await assert.rejects(embedder({ maxTokens: 5 }).embed(['one two three four five six']), TextTooLongError);
    assert.equal(asked.length, 0);
  });

  it('is unavailable when the endpoint fails, refuses the key or answers nonsense', async () => {
    const answers: Answer[] = [
      { status: 500, body: {} },
      { status: 401, body: { error: { message: 'no such key' } } },
      { status: 429, body: {} },
      { status: 200, body: { data: [{ index: 0, embedding: [1, 2] }] } },
      { status: 200, body: { data: [] } },
      { status: 200, body: { data: [{ index: 0, embedding: [0, 0, 0] }] } },
    ];
    for (const each of answers) {
      answer = () => each;
      await assert.rejects(embedder().embed(['a']), UnavailableError, JSON.stringify(each));
    }
  });

  it("refuses for good what the endpoint refuses, without the endpoint's words", async () => {
    answer = () => ({ status: 400, body: { error: { message: 'the text was: my secret' } } });
    await assert.rejects(embedder().embed(['my secret']), (error: Error) => {
      assert.ok(error instanceof PermanentError);
      assert.doesNotMatch(`${error.message} ${error.cause}`, /secret/);
      return true;
    });
  });

  it('stops asking after several failures', async () => {
    answer = () => ({ status: 500, body: {} });
    const failing = embedder();
    for (let n = 0; n < 8; n++) await assert.rejects(failing.embed(['a']), UnavailableError);
    assert.ok(asked.length < 8, `${asked.length}`);
  });

  function withVectors(of: (text: string) => number[], format: 'base64' | 'numbers' = 'numbers') {
    const encode = (vector: number[]) =>
      format === 'numbers' ? vector : Buffer.from(Float32Array.from(vector).buffer).toString('base64');
    return ({ input }: Asked): Answer => ({
      status: 200,
      body: { data: input.map((text, index) => ({ index, embedding: encode(of(text)) })) },
    });
  }
});
