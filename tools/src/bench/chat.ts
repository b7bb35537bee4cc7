/**
 * bench chat: the platform's own share of the time to the first token, by hop, over a provider with a fixed delay.
 *
 *   POST ─ commit ─ outbox, Debezium, Kafka ─ worker ─ claim ─ retrieval ─ context ─ model ─ Kafka ─ SSE at the reader
 *
 * Brings up a stack of its own, whose model is in this process, and asks through the gateway as customer@acme.example,
 * whose tenant has a menu of some 200 dishes. Each question is asked once, so that no query is in a cache. All clocks
 * are this machine's; hops inside the service are those that message_completed tells.
 */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Command } from 'commander';
import { Agent, request } from 'undici';
import { z } from 'zod';
import { removeData } from '../../../infra/local/remove-data.ts';
import { startStack } from '../../../infra/local/start-stack.ts';
import { line, spread, tell } from '../parts/numbers.ts';
import { type Provider, startProvider, withoutEnd } from './chat/provider.ts';

type Options = { rate: string; seconds: string; warmup: string; delay: string };

const grantShape = z.object({ access_token: z.string() });
const conversationShape = z.object({ id: z.string() });
const coverageShape = z.object({
  kinds: z.array(z.object({ kind: z.string(), sources: z.number() })),
  behind: z.number(),
  models: z.array(z.object({ missing: z.number() })),
});
const completedShape = z.object({
  message: z.object({ created_at: z.string() }),
  latency: z.record(z.string(), z.number()),
});

/** Of one answer, in ms. */
type Hops = Record<string, number>;

export function register(bench: Command): void {
  bench
    .command('chat')
    .description('The platform’s share of the time to the first token, by hop. Brings up a stack of its own.')
    .option('--rate <count>', 'questions a second', '4')
    .option('--seconds <count>', 'length of the measurement', '30')
    .option('--warmup <count>', 'seconds before it', '10')
    .option('--delay <ms>', 'what the provider takes until its first token', '200')
    .action(async ({ rate, seconds, warmup, delay }: Options) => {
      await measure(Number(rate), Number(seconds), Number(warmup), Number(delay));
    });
}

async function measure(rate: number, seconds: number, warmup: number, delayMs: number): Promise<void> {
  const provider = await startProvider({ firstMs: delayMs, betweenMs: 20, pieces: 20 });
  const dataDir = await mkdtemp(join(tmpdir(), 'ragline-bench-'));
  try {
    tell('starting a stack');
    const settings = {
      OPENAI_BASE_URL: provider.url,
      RAGLINE_RATE_LIMITS: 'off',
      RAGLINE_DEMO_TRAFFIC: 'off',
    };
    const stack = await startStack({ dataDir, ports: 'free', env: { ...process.env, ...settings } });
    try {
      await measureOn(stack.env, provider, { rate, seconds, warmup, delayMs });
    } finally {
      await stack.stop();
    }
  } finally {
    await provider.stop();
    await removeData(dataDir);
  }
}

type Run = { rate: number; seconds: number; warmup: number; delayMs: number };

async function measureOn(env: Record<string, string>, provider: Provider, run: Run): Promise<void> {
  const { rate, seconds, warmup, delayMs } = run;
  const origin = env.RAGLINE_URL ?? '';
  const password = env.RAGLINE_DEMO_PASSWORD ?? '';
  const dispatcher = new Agent({ connections: 256 });
  try {
    const login = { tenant: 'acme', email: 'customer@acme.example', password };
    const { access_token: token } = await post(`${origin}/v1/auth/login`, login, grantShape);
    const ask = (question: string) => firstToken({ origin, token, question, delayMs, dispatcher });
    tell('waiting until the knowledge of the sample tenants can be found');
    await indexed(origin, password);
    tell(`warming up: ${warmup} s`);
    await askAt(rate, rate * warmup, ask);
    tell(`measuring: ${seconds} s`);
    report(await askAt(rate, rate * seconds, ask), run);
    tell(`stopping ${stops} answers`);
    const stopped: number[] = [];
    for (let i = 0; i < stops; i += 1) stopped.push(await stopOne({ origin, token, dispatcher }, provider));
    line({ bench: 'chat', hop: 'stop → provider', answers: stops, unit: 'ms', ...spread(stopped) });
  } finally {
    await dispatcher.close();
  }
}

// What acme has after the start.
const dishesMin = 200;
const indexedWithinMs = 600_000;

/** Resolves when nothing is left to embed: a machine that indexes answers late. */
async function indexed(origin: string, password: string): Promise<void> {
  const login = { tenant: 'acme', email: 'staff@acme.example', password };
  const { access_token } = await post(`${origin}/v1/auth/login`, login, grantShape);
  const headers = { authorization: `Bearer ${access_token}` };
  const deadline = Date.now() + indexedWithinMs;
  while (Date.now() < deadline) {
    const response = await fetch(`${origin}/v1/knowledge/coverage`, { headers });
    if (!response.ok) throw new Error(`The coverage was answered with ${response.status}`);
    const { kinds, behind, models } = coverageShape.parse(await response.json());
    const dishes = kinds.find(({ kind }) => kind === 'menu')?.sources ?? 0;
    if (dishes >= dishesMin && behind === 0 && models.every(({ missing }) => missing === 0)) return;
    await pause(1_000);
  }
  throw new Error('The knowledge of the sample tenants was not indexed in time');
}

/** Asks at a fixed rate, whether earlier questions are answered or not. */
async function askAt(rate: number, count: number, ask: (question: string) => Promise<Hops>): Promise<Hops[]> {
  const answers: Promise<Hops>[] = [];
  const began = performance.now();
  for (let i = 0; i < count; i += 1) {
    await pause(Math.max(0, began + (i * 1_000) / rate - performance.now()));
    const answer = ask(questionOf());
    answer.catch(() => {});
    answers.push(answer);
  }
  return Promise.all(answers);
}

let asked = 0;

// No two are the same, so that each has to be embedded.
function questionOf(): string {
  asked += 1;
  const dishes = ['a soup', 'a salad', 'something with chicken', 'a vegan dish', 'a dessert'];
  return `Do you have ${dishes[asked % dishes.length]} below ${8 + (asked % 20)} euros, for table ${asked}?`;
}

const stops = 20;
const stoppedWithinMs = 10_000;

/** From the request to stop until the provider's connection is closed, in ms. */
async function stopOne(
  { origin, token, dispatcher }: Pick<Asking, 'origin' | 'token' | 'dispatcher'>,
  provider: Provider,
): Promise<number> {
  const { id } = await post(`${origin}/v1/conversations`, {}, conversationShape, token);
  const url = `${origin}/v1/conversations/${id}`;
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const { body } = await request(`${url}/messages`, {
    method: 'POST',
    headers: { ...headers, accept: 'text/event-stream' },
    body: JSON.stringify({ content: `Tell me about your soups, ${withoutEnd}. (${id})` }),
    dispatcher,
  });
  let askedAt: number | undefined;
  for await (const { event } of eventsOf(body)) {
    if (event === 'message_delta' && askedAt === undefined) {
      askedAt = Date.now();
      const answered = await fetch(`${url}/stop`, { method: 'POST', headers });
      if (!answered.ok) throw new Error(`A stop was answered with ${answered.status}`);
    }
    if (event === 'message_stopped') break;
  }
  const from = askedAt ?? Date.now();
  const deadline = Date.now() + stoppedWithinMs;
  for (let at = provider.closedAt(); at === undefined || at < from; at = provider.closedAt()) {
    if (Date.now() > deadline) throw new Error('The provider was not told of a stop');
    await pause(5);
  }
  return (provider.closedAt() ?? from) - from;
}

type Asking = { origin: string; token: string; question: string; delayMs: number; dispatcher: Agent };

/** One question in a conversation of its own; its hops. Throws an Error when it is not answered. */
async function firstToken({ origin, token, question, delayMs, dispatcher }: Asking): Promise<Hops> {
  const { id } = await post(`${origin}/v1/conversations`, {}, conversationShape, token);
  const sentAt = Date.now();
  const { statusCode, body } = await request(`${origin}/v1/conversations/${id}/messages`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      accept: 'text/event-stream',
    },
    body: JSON.stringify({ content: question }),
    dispatcher,
  });
  if (statusCode !== 200) throw new Error(`A question was answered with ${statusCode}: ${await body.text()}`);
  let firstAt: number | undefined;
  for await (const { event, data } of eventsOf(body)) {
    if (event === 'message_delta') firstAt ??= Date.now();
    if (event === 'message_failed') throw new Error(`An answer failed: ${data}`);
    if (event !== 'message_completed') continue;
    if (firstAt === undefined) throw new Error('An answer had no text');
    return hopsOf(completedShape.parse(JSON.parse(data)), { sentAt, firstAt, delayMs });
  }
  throw new Error('An answer had no end');
}

function hopsOf(
  { message, latency }: z.infer<typeof completedShape>,
  { sentAt, firstAt, delayMs }: { sentAt: number; firstAt: number; delayMs: number },
): Hops {
  const {
    queue_ms = 0,
    claim_ms = 0,
    retrieval_ms = 0,
    context_ms = 0,
    model_ttft_ms = 0,
    first_text_ms = 0,
  } = latency;
  const committedAt = Date.parse(message.created_at);
  const known = queue_ms + claim_ms + retrieval_ms + context_ms + model_ttft_ms;
  return {
    'request → commit': committedAt - sentAt,
    'commit → worker': queue_ms,
    claim: claim_ms,
    retrieval: retrieval_ms,
    context: context_ms,
    'model, beyond its delay': model_ttft_ms - delayMs,
    'first text → Kafka': first_text_ms - known,
    'Kafka → reader': firstAt - committedAt - first_text_ms,
    "the platform's share": firstAt - sentAt - delayMs,
  };
}

function report(all: readonly Hops[], run: { rate: number; seconds: number; delayMs: number }): void {
  for (const hop of Object.keys(all[0] ?? {})) {
    const values = all.map((hops) => hops[hop] ?? Number.NaN);
    line({
      bench: 'chat',
      hop,
      questions_per_s: run.rate,
      seconds: run.seconds,
      provider_delay_ms: run.delayMs,
      answers: values.length,
      unit: 'ms',
      ...spread(values),
    });
  }
}

/** The events of a stream, by the rules of text/event-stream that we use. */
async function* eventsOf(body: AsyncIterable<Buffer>): AsyncGenerator<{ event: string; data: string }> {
  let text = '';
  for await (const piece of body) {
    text += piece.toString();
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const fields = new Map(
        block.split('\n').map((it) => {
          const at = it.indexOf(':');
          return [it.slice(0, at), it.slice(at + 1).trimStart()] as const;
        }),
      );
      yield { event: fields.get('event') ?? 'message', data: fields.get('data') ?? '' };
    }
  }
}

async function post<T>(url: string, body: unknown, shape: z.ZodType<T>, token?: string): Promise<T> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
  return shape.parse(await response.json());
}
