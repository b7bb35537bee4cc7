/**
 * What a turn tells its readers, on chat.events.v1: texts gathered for some 30 ms, all else at once, in order.
 *
 * An event is known by turn, generation and sequence, and has an id made of the three: whoever sends it again, also
 * another worker, sends the same. Readers drop a generation below the highest they have seen, and a sequence not
 * above the last: a worker that was thought dead may still write for a moment, and a send may be repeated.
 */
import { hash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { currentTraceparent } from '@ragline/runtime/tracing';
import type { Codec } from '@ragline/schemas/codec';
import { topics } from '@ragline/schemas/topics';
import type { ChatEvent } from '@ragline/schemas/types.generated';
import { UnavailableError } from '@ragline/streams/errors';
import type { OutgoingRecord, Producer } from '@ragline/streams/producer';
import type { Citation, FailureCode, Message, Turn } from '../domain.ts';

/** What happened, without the address that all events of a turn share. */
export type TurnEvent =
  | { event_type: 'message_delta'; text: string }
  | ({ event_type: 'citation' } & Citation)
  | { event_type: 'tool_started'; tool: string; call_id: string }
  | {
      event_type: 'tool_finished';
      tool: string;
      call_id: string;
      ok: boolean;
      summary: string;
      duration_ms: number;
    }
  | { event_type: 'approval_required'; approval_id: string; quote: Record<string, unknown> }
  | { event_type: 'message_restarted' };

export type EndEvent =
  | { event_type: 'message_completed' | 'message_stopped'; message: Message }
  | { event_type: 'message_failed'; message: Message; code: FailureCode };

/** Whose event it is. */
export type TurnAddress = Pick<Turn, 'id' | 'tenant_id' | 'user_id' | 'conversation_id' | 'answer_id'> & {
  generation: number;
};

export type Publisher = Awaited<ReturnType<typeof createPublisher>>;
export type TurnStream = ReturnType<Publisher['open']>;

export type PublisherOptions = {
  producer: Producer;
  codec: Codec;
  /** chat.events.v1, unless a test has its own. */
  topic?: string;
  /** How long texts are gathered; the first of an answer goes at once. */
  gatherMs?: number;
};

const sendAgainMs = 100;
const sendAgainMsMax = 1_000;

/** Looks the schema up; rejects while the registry cannot answer. */
export async function createPublisher(options: PublisherOptions) {
  const { producer, codec, topic = topics.chatEvents.name, gatherMs = 30 } = options;
  const encode = await codec.encoder('chat_event_v1');
  const sendTogether = together(producer, topic);

  function recordOf(at: TurnAddress, sequence: number, event: Partial<ChatEvent>): OutgoingRecord {
    const { event_type = 'message_delta', occurred_at = new Date().toISOString() } = event;
    const { tenant_id, user_id, conversation_id, generation } = at;
    const event_id = eventIdOf(at.id, generation, sequence);
    const value: ChatEvent = {
      ...nothing,
      ...event,
      event_id,
      event_type,
      occurred_at,
      tenant_id,
      user_id,
      conversation_id,
      turn_id: at.id,
      message_id: at.answer_id,
      generation,
      sequence,
    };
    const headers = { id: event_id, event_type, tenant_id, user_id, traceparent: currentTraceparent() };
    return {
      key: conversation_id,
      value: encode(value),
      headers: { ...headers, 'content-type': 'application/avro' },
    };
  }

  /** Sends until it is stored; readers drop what comes twice. Throws UnavailableError when nobody wants to wait. */
  async function send(records: readonly OutgoingRecord[], signal: AbortSignal): Promise<void> {
    for (let waitMs = sendAgainMs; ; waitMs = Math.min(waitMs * 2, sendAgainMsMax)) {
      try {
        return await orAborted(sendTogether(records), signal);
      } catch (error) {
        if (!(error instanceof UnavailableError) || signal.aborted) throw error;
        await delay(waitMs, undefined, { signal }).catch(() => {});
      }
    }
  }

  return {
    /**
     * Sends the event that ends a turn. Sent again, it is the same event.
     *
     * @param sequence as it was kept with the end
     */
    async end(at: TurnAddress, sequence: number, event: EndEvent, signal: AbortSignal): Promise<void> {
      const { message } = event;
      const { usage, latency, completed_at } = message;
      const said: Partial<ChatEvent> = {
        event_type: event.event_type,
        message: { ...message },
        usage: usage === null ? null : { ...usage },
        latency: latency === null ? null : { ...latency },
        ...(event.event_type === 'message_failed' ? { code: event.code } : {}),
        ...(completed_at === null ? {} : { occurred_at: completed_at }),
      };
      await send([recordOf(at, sequence, said)], signal);
    },

    /**
     * Opens what a worker tells of one generation of a turn.
     *
     * @param signal after it nothing more is sent, and whoever waits for a send gets UnavailableError
     */
    open(at: TurnAddress, signal: AbortSignal) {
      let sequence = 0;
      let text = '';
      let queue: OutgoingRecord[] = [];
      let sending: Promise<void> | undefined;
      let timer: NodeJS.Timeout | undefined;
      let sentAt = Number.NEGATIVE_INFINITY;
      let failure: unknown;
      let firstTextAt: number | undefined;
      // Whether what was taken to be sent, or was sent, has text.
      let hasText = false;

      function take(): void {
        if (text === '') return;
        sequence += 1;
        queue.push(recordOf(at, sequence, { event_type: 'message_delta', text }));
        hasText = true;
        text = '';
      }

      async function drain(): Promise<void> {
        for (take(); queue.length > 0 && failure === undefined; take()) {
          const records = queue;
          queue = [];
          const hadText = hasText;
          try {
            await send(records, signal);
            if (hadText) firstTextAt ??= Date.now();
          } catch (error) {
            failure = error;
          }
          sentAt = performance.now();
        }
      }

      function start(): Promise<void> {
        clearTimeout(timer);
        timer = undefined;
        sending ??= drain().finally(() => {
          sending = undefined;
          if (text !== '' && failure === undefined) schedule();
        });
        return sending;
      }

      function schedule(): void {
        if (timer !== undefined || sending !== undefined) return;
        const waitMs = sentAt + gatherMs - performance.now();
        if (waitMs <= 0) void start();
        else timer = setTimeout(() => void start(), waitMs);
      }

      return {
        /** Adds to the answer; sent with what comes right after it. */
        text(more: string): void {
          if (more === '') return;
          text += more;
          schedule();
        },
        event(event: TurnEvent): void {
          take();
          sequence += 1;
          queue.push(recordOf(at, sequence, event));
          void start();
        },
        /** Resolves when everything so far is stored. Throws what sending threw. */
        async flush(): Promise<void> {
          while (sending !== undefined || text !== '' || queue.length > 0) {
            if (failure !== undefined) throw failure;
            await start();
          }
          if (failure !== undefined) throw failure;
        },
        /** The place of the event that comes next: after flush, that of the end. */
        nextSequence: (): number => sequence + 1,
        /** When the first text was stored, ms since 1970. */
        firstTextAt: (): number | undefined => firstTextAt,
        /** Nothing more is sent. */
        drop(): void {
          clearTimeout(timer);
          failure ??= new UnavailableError('The stream of the turn is closed');
          queue = [];
          text = '';
        },
      };
    },
  };
}

const sentTogetherMax = 256;

/**
 * Sends what came up while the last send was on its way as one: the producer has one request in flight, and the turns
 * of a busy instance would else wait for each other.
 */
function together(producer: Pick<Producer, 'send'>, topic: string) {
  type Waiting = { records: readonly OutgoingRecord[]; settle: PromiseWithResolvers<void> };
  let waiting: Waiting[] = [];
  let isSending = false;

  function takeSome(): Waiting[] {
    let count = 0;
    const from = waiting.findIndex(({ records }) => {
      count += records.length;
      return count > sentTogetherMax;
    });
    const end = from < 0 ? waiting.length : Math.max(from, 1);
    const taken = waiting.slice(0, end);
    waiting = waiting.slice(end);
    return taken;
  }

  async function sendAll(): Promise<void> {
    isSending = true;
    while (waiting.length > 0) {
      const taken = takeSome();
      try {
        const records = taken.flatMap((it) => it.records);
        await producer.send(topic, records);
        for (const { settle } of taken) settle.resolve();
      } catch (error) {
        for (const { settle } of taken) settle.reject(error);
      }
    }
    isSending = false;
  }

  return (records: readonly OutgoingRecord[]): Promise<void> => {
    const settle = Promise.withResolvers<void>();
    waiting.push({ records, settle });
    if (!isSending) void sendAll();
    return settle.promise;
  };
}

const nothing = {
  text: null,
  index: null,
  title: null,
  source: null,
  document_id: null,
  tool: null,
  call_id: null,
  ok: null,
  summary: null,
  duration_ms: null,
  approval_id: null,
  quote: null,
  message: null,
  usage: null,
  latency: null,
  code: null,
} as const;

/** A UUIDv7 of the turn's own time, whose other bits are made of what the event is. */
export function eventIdOf(turnId: string, generation: number, sequence: number): string {
  const digest = hash('sha256', `${turnId}/${generation}/${sequence}`);
  const variant = ((Number.parseInt(digest.slice(3, 4), 16) & 0x3) | 0x8).toString(16);
  return `${turnId.slice(0, 13)}-7${digest.slice(0, 3)}-${variant}${digest.slice(4, 7)}-${digest.slice(7, 19)}`;
}

async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(new UnavailableError('Kafka did not take the events of a turn in time'));
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort);
  promise.catch(() => {});
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
