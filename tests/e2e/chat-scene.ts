/** A customer who talks to the assistant: asks over server-sent events, reads, decides, and keeps what was said. */
import assert from 'node:assert/strict';
import { type Session, signIn } from '../faults/session.ts';
import { type HttpAnswer, httpTo } from '../support/http.ts';

/** The data of an event of a conversation; a field that its type has not is missing. */
export type ChatEvent = {
  event_id: string;
  event_type: string;
  turn_id: string;
  message_id: string;
  generation: number;
  sequence: number;
  text: string;
  index: number;
  title: string;
  document_id: string;
  tool: string;
  ok: boolean;
  approval_id: string;
  quote: { items: { name: string; quantity: number }[]; discount: number; total: number; promo_code: string };
  message: Message;
  code: string;
};
export type Message = {
  id: string;
  role: string;
  state: string;
  content: string;
  citations: { index: number; title: string; document_id: string }[];
  model: string | null;
  usage: { input_tokens: number; output_tokens: number } | null;
  error_code: string | null;
};
/** One event of a stream; `id` is where to go on from. */
export type Streamed = { id: string | undefined; type: string; data: ChatEvent };

const ends = ['message_completed', 'message_failed', 'message_stopped'];
export const isEnd = ({ type }: Streamed): boolean => ends.includes(type);

/** What came of one question, from the events of its stream. */
export function answerOf(events: readonly Streamed[]) {
  const of = (type: string) => events.filter((it) => it.type === type).map(({ data }) => data);
  const last = events.at(-1);
  assert.ok(last !== undefined && isEnd(last), `the stream ended with ${last?.type}`);
  return {
    events,
    end: last.type,
    message: last.data.message,
    code: last.data.code,
    /** As it was streamed. */
    text: of('message_delta')
      .map(({ text }) => text)
      .join(''),
    citations: of('citation'),
    tools: of('tool_finished').map(({ tool }) => tool),
    approval: of('approval_required').at(-1),
  };
}
export type Answer = ReturnType<typeof answerOf>;

export type Talk = Awaited<ReturnType<typeof openTalk>>;

/** @param url of the gateway, or of one instance of the chat service */
export async function openTalk(by: Session, url = by.url) {
  const http = httpTo(url);
  const callAt = async (
    at: string,
    method: string,
    path: string,
    body?: unknown,
    // biome-ignore lint/suspicious/noExplicitAny: as in tests/support/http.ts.
  ): Promise<HttpAnswer<any>> =>
    httpTo(at)(method, path, { token: await by.token(), ...(body === undefined ? {} : { body }) });
  const call = (method: string, path: string, body?: unknown) => callAt(url, method, path, body);
  const opened = await call('POST', '/v1/conversations', {});
  assert.equal(opened.status, 201, opened.text);
  const id: string = opened.body.id;
  const path = `/v1/conversations/${id}`;

  /** @param at another instance than the talk's own */
  async function stream(
    method: string,
    rest: string,
    { body, lastEventId, at = url, signal }: StreamOptions = {},
  ): Promise<AsyncGenerator<Streamed>> {
    const timeout = AbortSignal.timeout(40_000);
    const response = await fetch(`${at}${path}${rest}`, {
      method,
      headers: {
        authorization: `Bearer ${await by.token()}`,
        accept: 'text/event-stream',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    });
    if (!response.ok || response.body === null) {
      throw new Error(`${method} ${rest} answered ${response.status}: ${await response.text()}`);
    }
    assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/);
    return eventsOf(response.body);
  }

  return {
    id,
    path,
    call,
    /** The same user at another origin. */
    callAt,
    stream,
    /** Asks, and reads the answer to its end. */
    async ask(content: string): Promise<Answer> {
      return answerOf(await untilEnd(await stream('POST', '/messages', { body: { content } })));
    },
    /** Asks without waiting. */
    async askOnly(content: string): Promise<{ turn_id: string; message_id: string; answer_id: string }> {
      const headers = { prefer: 'respond-async' };
      const request = { token: await by.token(), headers, body: { content } };
      const answer = await http('POST', `${path}/messages`, request);
      assert.equal(answer.status, 202, answer.text);
      return answer.body;
    },
    async messages(): Promise<Message[]> {
      const answer = await call('GET', `${path}/messages?limit=100`);
      assert.equal(answer.status, 200, answer.text);
      return answer.body.data;
    },
    decide: (approvalId: string, decision: 'approve' | 'reject') =>
      call('POST', `${path}/approvals/${approvalId}`, { decision }),
  };
}

type StreamOptions = { body?: unknown; lastEventId?: string; at?: string; signal?: AbortSignal };

/** All events up to the end of a turn, or of the stream. */
export async function untilEnd(
  events: AsyncGenerator<Streamed>,
  isLast: (event: Streamed) => boolean = isEnd,
): Promise<Streamed[]> {
  const seen: Streamed[] = [];
  for await (const event of events) {
    seen.push(event);
    if (isLast(event)) break;
  }
  return seen;
}

async function* eventsOf(body: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<Streamed> {
  let rest = '';
  for await (const piece of body.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + piece).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const event = eventFrom(block);
      if (event !== undefined) yield event;
    }
  }
}

/** undefined for what is no event of the conversation: comments and signs of life. */
function eventFrom(block: string): Streamed | undefined {
  const field = (name: string) =>
    block
      .split('\n')
      .filter((line) => line.startsWith(`${name}:`))
      .map((line) => line.slice(name.length + 1).trimStart())
      .join('\n');
  const data = field('data');
  return data === '' || field('event') === 'cursor'
    ? undefined
    : { id: field('id') || undefined, type: field('event'), data: JSON.parse(data) };
}

/** A sample user of the stack, such as `customer@demo`. */
export function sampleUser(user: string): Promise<Session> {
  const tenant = user.split('@')[1] ?? '';
  return signIn(setting('RAGLINE_URL'), tenant, `${user}.example`, setting('RAGLINE_DEMO_PASSWORD'));
}

export function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run this through npm test`);
  return value;
}
