/** A record of each model call: what it took, never what was said. */
import { randomUUIDv7 } from 'node:crypto';
import type { Logger } from '@ragline/runtime/logger';
import { topics } from '@ragline/schemas/topics';
import type { LlmCallEvent } from '@ragline/schemas/types.generated';
import type { Producer } from '@ragline/streams/producer';
import type { ModelRequest, ModelUsage } from './model.ts';
import { costOf } from './prices.ts';

export type ModelCall = {
  request: Pick<ModelRequest, 'purpose' | 'prompt' | 'who'>;
  /** Host and port; `offline` where none was called. */
  endpoint: string;
  model: string;
  usage: ModelUsage;
  ttftMs: number | null;
  durationMs: number;
  outcome: 'ok' | 'stopped' | 'failed';
  errorCode: string | null;
};

export type CallRecorder = {
  /** Never throws and never waits: an answer is worth more than its record. */
  record(call: ModelCall): void;
  /** Resolves when what was recorded is stored. */
  stop(): Promise<void>;
};

const waitingMax = 10_000;
const sentAtOnce = 500;

export type CallRecorderOptions = {
  producer: Pick<Producer, 'send'>;
  /** Gives what encodes llm_call_v1; asked until it does, so that a registry that is away does no harm for good. */
  encoder: () => Promise<(event: LlmCallEvent) => Buffer>;
  log: Logger;
};

export function createCallRecorder({ producer, encoder, log }: CallRecorderOptions): CallRecorder {
  const waiting: LlmCallEvent[] = [];
  let sending: Promise<void> | undefined;
  let dropped = 0;
  let known: Awaited<ReturnType<typeof encoder>> | undefined;

  async function sendAll(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.splice(0, sentAtOnce);
      try {
        known ??= await encoder();
        const encode = known;
        await producer.send(
          topics.llmCalls.name,
          batch.map((event) => ({
            key: event.tenant_id,
            value: encode(event),
            headers: headersOf(event),
          })),
        );
      } catch (error) {
        log.warn('records of model calls are lost', { count: batch.length, error });
      }
    }
  }

  return {
    record(call) {
      if (waiting.length >= waitingMax) {
        dropped += 1;
        if (dropped === 1) log.warn('records of model calls are lost: Kafka does not take them');
        return;
      }
      dropped = 0;
      waiting.push(eventOf(call, new Date()));
      sending ??= sendAll().finally(() => {
        sending = undefined;
      });
    },
    async stop() {
      await sending;
    },
  };
}

export function eventOf(call: ModelCall, now: Date): LlmCallEvent {
  const { purpose, prompt, who } = call.request;
  return {
    event_id: randomUUIDv7(),
    event_type: 'llm_call',
    occurred_at: now.toISOString(),
    tenant_id: who.tenant_id,
    user_id: who.user_id,
    conversation_id: who.conversation_id,
    turn_id: who.turn_id,
    purpose,
    prompt_name: prompt.name,
    prompt_hash: prompt.hash,
    endpoint: call.endpoint,
    model: call.model,
    input_tokens: call.usage.input_tokens,
    output_tokens: call.usage.output_tokens,
    ...costOf(call.model, call.usage),
    ttft_ms: call.ttftMs === null ? null : Math.round(call.ttftMs),
    duration_ms: Math.round(call.durationMs),
    outcome: call.outcome,
    error_code: call.errorCode,
  };
}

function headersOf({ event_id, event_type, tenant_id, user_id }: LlmCallEvent): Record<string, string> {
  return { id: event_id, event_type, tenant_id, user_id, 'content-type': 'application/avro' };
}
