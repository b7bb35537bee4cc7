import assert from 'node:assert/strict';
import type { LlmCallEvent } from '@ragline/schemas/types.generated';
import { describe, it } from 'mocha';
import { eventually } from '../../../../tests/support/eventually.ts';
import { createCallRecorder, type ModelCall } from './calls.ts';
import { aRequest, silent } from './model.support.ts';

describe('records of model calls', () => {
  it('go to their topic, keyed by tenant, with the headers of an event', async () => {
    const sent: { topic: string; key: unknown; headers: unknown; value: LlmCallEvent }[] = [];
    const recorder = createCallRecorder({
      producer: {
        async send(topic, records) {
          for (const { key, headers, value } of records)
            sent.push({ topic, key, headers, value: JSON.parse(String(value)) });
        },
      },
      encoder: async () => (event) => Buffer.from(JSON.stringify(event)),
      log: silent,
    });
    recorder.record(aCall());
    recorder.record({ ...aCall(), outcome: 'failed', errorCode: 'model_unavailable' });
    await eventually(() => assert.equal(sent.length, 2));
    await recorder.stop();
    const [first] = sent;
    const { who } = aRequest();
    assert.equal(first?.topic, 'llm.calls.v1');
    assert.equal(first?.key, who.tenant_id);
    assert.deepEqual(first?.headers, {
      id: first?.value.event_id,
      event_type: 'llm_call',
      tenant_id: who.tenant_id,
      user_id: who.user_id,
      'content-type': 'application/avro',
    });
  });

  it('are lost rather than in the way while Kafka or the registry is away, and come again after', async () => {
    let isAway = true;
    let sent = 0;
    const recorder = createCallRecorder({
      producer: {
        async send(_, records) {
          sent += records.length;
        },
      },
      async encoder() {
        if (isAway) throw new Error('away');
        return () => Buffer.alloc(1);
      },
      log: silent,
    });
    recorder.record(aCall());
    await recorder.stop();
    isAway = false;
    recorder.record(aCall());
    await recorder.stop();
    assert.equal(sent, 1);
  });
});

function aCall(): ModelCall {
  const usage = { input_tokens: 1, output_tokens: 1 };
  return {
    request: aRequest(),
    endpoint: 'host',
    model: 'm',
    usage,
    ttftMs: 1,
    durationMs: 2,
    outcome: 'ok',
    errorCode: null,
  };
}
