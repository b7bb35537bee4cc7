/** Compares again and again, and shows what was found as metrics. */
import { createServer } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { runService } from '@ragline/runtime/run-service';
import type { Reconciled } from './reconcile.ts';

export type WatchOptions = {
  run(since: Date | undefined): Promise<Reconciled>;
  everyMs: number;
  host: string;
  port: number;
  /** Where the first run begins; at all that there is when not given. */
  since: Date | undefined;
};

const stopWithinMs = 5_000;
const againAfterMs = 60_000;

/** Each run looks back to the beginning of the last one but one, so that what was on its way then is judged now. */
export async function watch({ run, everyMs, host, port, since }: WatchOptions): Promise<void> {
  const log = createLogger({ service: 'reconcile', level: 'info', instance: 'reconcile-1' });
  await runService({ log, stopWithinMs }, async (own) => {
    const metrics = createMetrics({ service: 'reconcile' });
    const gauges = {
      holes: metrics.gauge(
        'ragline_reconcile_holes',
        'Events in an outbox and on no topic, when last compared.',
        ['topic'],
      ),
      phantoms: metrics.gauge(
        'ragline_reconcile_phantoms',
        'Records that no outbox knows, when last compared.',
        ['topic'],
      ),
      doubled: metrics.gauge('ragline_reconcile_doubled', 'Records whose event is on the topic twice.', [
        'topic',
      ]),
      at: metrics.gauge(
        'ragline_reconcile_last_success_timestamp_seconds',
        'When outboxes and topics were last compared.',
      ),
    };
    const server = own(
      createServer(async (req, res) => {
        if (req.url === '/healthz') return void res.end('{"status":"ok"}');
        if (req.url !== '/metrics') return void res.writeHead(404).end();
        res.setHeader('content-type', metrics.contentType).end(await metrics.text());
      }),
      (it) => it.close(),
    );
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve));
    const ending = own(new AbortController(), (it) => it.abort());
    void (async () => {
      const began: (Date | undefined)[] = [since, since];
      while (!ending.signal.aborted) {
        began.push(new Date());
        const from = began.shift();
        const wait = await run(from).then(
          (result) => {
            show(result);
            return everyMs;
          },
          (error: unknown) => {
            // The same span again: nothing is left out because a broker was away.
            began.pop();
            began.unshift(from);
            log.warn('outboxes and topics were not compared', { error });
            return Math.min(everyMs, againAfterMs);
          },
        );
        await pause(wait, undefined, { signal: ending.signal }).catch(() => {});
      }
    })();

    function show({ topics, holes, phantoms }: Reconciled): void {
      for (const { topic, ...counts } of topics) {
        gauges.holes.set({ topic }, counts.holes);
        gauges.phantoms.set({ topic }, counts.phantoms);
        gauges.doubled.set({ topic }, counts.doubled);
      }
      gauges.at.set(Date.now() / 1_000);
      const found = { holes: holes.slice(0, 20), phantoms: phantoms.slice(0, 20) };
      if (holes.length + phantoms.length > 0) log.error('outboxes and topics differ', found);
      else log.info('outboxes and topics agree', { topics: topics.length });
    }
  });
}
