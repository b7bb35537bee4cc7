/**
 * An OpenAI-compatible server for tests: real HTTP, streaming as the protocol has it, and the faults that real
 * endpoints have. What it answers is the test's to say, request by request.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type FakeToolCall = { id?: string; name: string; arguments: string };

/** How one request is answered; times in milliseconds. */
export type FakeReply = {
  /** Pieces of text, one delta each. */
  text?: string | readonly string[];
  toolCalls?: readonly FakeToolCall[];
  finish?: 'stop' | 'tool_calls' | 'length' | 'content_filter';
  /** Sent only when it was asked for with stream_options; null: this endpoint never tells it. */
  usage?: { prompt_tokens: number; completion_tokens: number } | null;
  /** Before the first delta; the head of the answer is sent at once. */
  firstDelayMs?: number;
  /** Before each further delta. */
  betweenMs?: number;
  /** The answer breaks after so many deltas: `stall` sends nothing more, `cut` closes the connection. */
  breaks?: { after: number; how: 'stall' | 'cut' };
  /** An error instead of an answer. */
  status?: number;
  error?: { message: string; code?: string; type?: string; param?: string };
  headers?: Record<string, string>;
  /** Takes the request and never answers, not even with a head. */
  hangs?: boolean;
};

// biome-ignore lint/suspicious/noExplicitAny: a test reads the fields of the request that it asserts on.
export type FakeRequest = { path: string; body: any; headers: IncomingMessage['headers']; at: number };

export type FakeOpenAi = {
  /** With `/v1`: the value of OPENAI_BASE_URL. */
  url: string;
  /** Every request so far, oldest first. */
  requests: FakeRequest[];
  /** Answers that are being written now. */
  open(): number;
  /** When the client closed an answer before its end, oldest first, as Date.now(). */
  closedEarly: number[];
  /** Answers differently from now on. */
  reply(with_: Replier): void;
  stop(): Promise<void>;
};

export type Replier = FakeReply | ((request: FakeRequest, nth: number) => FakeReply);

export type FakeOptions = {
  reply?: Replier;
  /** Asked for when given; another one is a 401. */
  apiKey?: string;
  /** Vectors for `/embeddings`; without it, a vector made of the text's letters. */
  embed?: (text: string, dimensions: number) => readonly number[];
  dimensions?: number;
};

/** Starts the server on a free port; the caller stops it. */
export async function startFakeOpenAi(options: FakeOptions = {}): Promise<FakeOpenAi> {
  let replier = options.reply ?? { text: ['Hello', ' there', '.'] };
  const requests: FakeRequest[] = [];
  const closedEarly: number[] = [];
  let opened = 0;
  let chats = 0;

  const server = createServer(async (req, res) => {
    const request = { path: req.url ?? '', body: await bodyOf(req), headers: req.headers, at: Date.now() };
    requests.push(request);
    if (options.apiKey !== undefined && req.headers.authorization !== `Bearer ${options.apiKey}`) {
      return refuse(res, 401, { message: 'Incorrect API key provided', code: 'invalid_api_key' });
    }
    if (request.path.endsWith('/models')) return json(res, 200, { object: 'list', data: [model('fake')] });
    if (request.path.endsWith('/embeddings')) return json(res, 200, embeddings(request.body, options));
    if (!request.path.endsWith('/chat/completions')) return refuse(res, 404, { message: 'No such path' });
    const reply = typeof replier === 'function' ? replier(request, chats++) : replier;
    opened += 1;
    res.on('close', () => {
      opened -= 1;
      if (!res.writableEnded) closedEarly.push(Date.now());
    });
    await answer(res, request.body, reply);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests,
    closedEarly,
    open: () => opened,
    reply(with_) {
      replier = with_;
      chats = 0;
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

// biome-ignore lint/suspicious/noExplicitAny: what a client sent, as it sent it.
async function answer(res: ServerResponse, body: any, reply: FakeReply): Promise<void> {
  if (reply.hangs) return;
  if (reply.status !== undefined && reply.status >= 400) {
    return refuse(res, reply.status, reply.error ?? { message: 'It failed' }, reply.headers);
  }
  const deltas = deltasOf(reply);
  const finish = reply.finish ?? (reply.toolCalls ? 'tool_calls' : 'stop');
  const usage = reply.usage === undefined ? { prompt_tokens: 11, completion_tokens: 7 } : reply.usage;
  if (body.stream !== true) {
    await pause(res, reply.firstDelayMs);
    return json(res, 200, whole(body.model, reply, finish, usage));
  }

  res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', ...reply.headers });
  res.flushHeaders();
  const send = (choices: object[], extra: object = {}) =>
    res.write(`data: ${JSON.stringify({ ...chunk(body.model), choices, ...extra })}\n\n`);
  for (const [at, delta] of deltas.entries()) {
    if (reply.breaks?.after === at) return end(res, reply.breaks.how);
    await pause(res, at === 0 ? reply.firstDelayMs : reply.betweenMs);
    if (res.destroyed) return;
    // The official client wants a role in the first delta of each answer.
    send([{ index: 0, delta: at === 0 ? { role: 'assistant', ...delta } : delta, finish_reason: null }]);
  }
  if (reply.breaks !== undefined) return end(res, reply.breaks.how);
  send([{ index: 0, delta: {}, finish_reason: finish }]);
  if (body.stream_options?.include_usage === true && usage !== null) send([], { usage: totals(usage) });
  res.end('data: [DONE]\n\n');
}

function end(res: ServerResponse, how: 'stall' | 'cut'): void {
  // The socket's end comes after what was written; destroyed, it would take that along.
  if (how === 'cut') res.socket?.end();
}

/** Text piece by piece; each call's name first and then its arguments in two halves, as real endpoints do. */
function deltasOf(reply: FakeReply): object[] {
  const pieces = typeof reply.text === 'string' ? [reply.text] : (reply.text ?? []);
  const calls = (reply.toolCalls ?? []).flatMap((call, index) => {
    const half = Math.ceil(call.arguments.length / 2);
    const parts = [call.arguments.slice(0, half), call.arguments.slice(half)];
    const head = { index, id: call.id ?? `call_${index}`, type: 'function' };
    return [
      { tool_calls: [{ ...head, function: { name: call.name, arguments: '' } }] },
      ...parts.map((part) => ({ tool_calls: [{ index, function: { arguments: part } }] })),
    ];
  });
  return [...pieces.map((content) => ({ content })), ...calls];
}

function whole(name: string, reply: FakeReply, finish: string, usage: FakeReply['usage']): object {
  const text = typeof reply.text === 'string' ? reply.text : reply.text?.join('');
  const calls = reply.toolCalls?.map((call, index) => ({
    id: call.id ?? `call_${index}`,
    type: 'function',
    function: { name: call.name, arguments: call.arguments },
  }));
  const message = { role: 'assistant', content: text ?? null, ...(calls ? { tool_calls: calls } : {}) };
  return {
    ...chunk(name),
    object: 'chat.completion',
    choices: [{ index: 0, message, finish_reason: finish }],
    ...(usage ? { usage: totals(usage) } : {}),
  };
}

function chunk(name: string) {
  return { id: 'chatcmpl-fake', object: 'chat.completion.chunk', created: 1_700_000_000, model: name };
}

function totals(usage: { prompt_tokens: number; completion_tokens: number }) {
  return { ...usage, total_tokens: usage.prompt_tokens + usage.completion_tokens };
}

function model(id: string) {
  return { id, object: 'model', created: 1_700_000_000, owned_by: 'fake' };
}

// biome-ignore lint/suspicious/noExplicitAny: what a client sent, as it sent it.
function embeddings(body: any, { embed = lettersOf, dimensions = 384 }: FakeOptions): object {
  const texts: string[] = Array.isArray(body.input) ? body.input : [body.input];
  const size = typeof body.dimensions === 'number' ? body.dimensions : dimensions;
  const data = texts.map((text, index) => {
    const vector = embed(text, size);
    const bytes = Buffer.from(new Float32Array(vector).buffer);
    const embedding = body.encoding_format === 'base64' ? bytes.toString('base64') : [...vector];
    return { object: 'embedding', index, embedding };
  });
  return { object: 'list', data, model: body.model, usage: { prompt_tokens: 1, total_tokens: 1 } };
}

/** The same text, the same vector, of length 1; texts that share letters are near each other. */
function lettersOf(text: string, dimensions: number): number[] {
  const vector = Array.from({ length: dimensions }, () => 0);
  for (const [at, letter] of [...text.toLowerCase()].entries()) {
    const place = ((letter.codePointAt(0) ?? 0) * 31 + (at % 3)) % dimensions;
    vector[place] = (vector[place] ?? 0) + 1;
  }
  const length = Math.hypot(...vector) || 1;
  return vector.map((value) => value / length);
}

function json(res: ServerResponse, status: number, body: object, headers: Record<string, string> = {}): void {
  res.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

function refuse(
  res: ServerResponse,
  status: number,
  error: NonNullable<FakeReply['error']>,
  headers?: Record<string, string>,
): void {
  json(res, status, { error: { type: 'invalid_request_error', param: null, ...error } }, headers);
}

/** Waits, or less when the client has gone. */
async function pause(res: ServerResponse, ms = 0): Promise<void> {
  if (ms <= 0 || res.destroyed) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      res.off('close', done);
      resolve();
    }
    res.on('close', done);
  });
}

async function bodyOf(req: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = [];
  for await (const part of req) parts.push(part);
  const text = Buffer.concat(parts).toString();
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
