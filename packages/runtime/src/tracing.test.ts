import assert from 'node:assert/strict';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { trace } from '@opentelemetry/api';
import { describe, it } from 'mocha';
import { currentContext } from './context.ts';
import { parseTraceparent } from './traceparent.ts';
import { currentTraceparent, startTracing, traceparentOf, withSpan } from './tracing.ts';

const parent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

describe('tracing without a collector', () => {
  it('has real ids, the same for all that belongs to a span', async () => {
    await withSpan('outer', {}, async (outer) => {
      const { traceId } = outer.spanContext();
      assert.equal(currentTraceparent(), traceparentOf(outer));
      assert.equal(currentContext().trace_id, traceId);
      await withSpan('inner', {}, async (inner) => {
        assert.equal(inner.spanContext().traceId, traceId);
        assert.notEqual(inner.spanContext().spanId, outer.spanContext().spanId);
      });
      assert.equal(currentTraceparent(), traceparentOf(outer));
    });
  });

  it('goes on in the trace that a traceparent names', async () => {
    await withSpan('consume', { parent }, async (span) => {
      assert.equal(span.spanContext().traceId, '4bf92f3577b34da6a3ce929d0e0e4736');
    });
  });

  it('has a valid traceparent even outside of any span', () => {
    assert.ok(parseTraceparent(currentTraceparent()));
    assert.notEqual(currentTraceparent(), currentTraceparent());
  });
});

describe('tracing with a collector', () => {
  it('sends spans with their parents, kinds, attributes, links and errors', async () => {
    const collector = await startCollector();
    const tracing = startTracing({ service: 'orders', instance: 'orders-1', endpoint: collector.url });
    try {
      const failing = withSpan(
        'publish',
        { kind: 'producer', parent, attributes: { 'a.b': 1 } },
        async () => {
          assert.ok(trace.getActiveSpan(), 'the API of OpenTelemetry sees the span too');
          await withSpan('child', { links: [parent, 'no link'] }, async () => {});
          throw new Error('broker away');
        },
      );
      await assert.rejects(failing, /broker away/);
    } finally {
      await tracing.stop();
      await collector.stop();
    }
    const spans = collector.spans();
    const [publish, child] = [
      spans.find(({ name }) => name === 'publish'),
      spans.find(({ name }) => name === 'child'),
    ];
    assert.equal(publish?.traceId, '4bf92f3577b34da6a3ce929d0e0e4736');
    assert.equal(publish?.parentSpanId, '00f067aa0ba902b7');
    assert.equal(publish?.kind, 4);
    assert.equal(publish?.status?.message, 'broker away');
    assert.equal(child?.parentSpanId, publish?.spanId);
    assert.equal(child?.links?.length, 1);
    assert.equal(trace.getActiveSpan(), undefined);
  });

  it('stops in time, and without an error, when the collector is away', async () => {
    const tracing = startTracing({ service: 'orders', endpoint: 'http://127.0.0.1:9' });
    await withSpan('lost', {}, async () => {});
    await tracing.stop();
  }).timeout(15_000);
});

type SentSpan = {
  name: string;
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  kind: number;
  status?: { message?: string };
  links?: unknown[];
};

/** An OTLP/HTTP collector that keeps what it is sent. */
async function startCollector() {
  const bodies: string[] = [];
  const server = http.createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      bodies.push(Buffer.concat(chunks).toString());
      res.setHeader('content-type', 'application/json');
      res.end('{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    spans: (): SentSpan[] =>
      bodies
        .map((body) => JSON.parse(body))
        .flatMap(({ resourceSpans }) => resourceSpans)
        .flatMap(({ scopeSpans }) => scopeSpans)
        .flatMap(({ spans }) => spans),
    stop: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
