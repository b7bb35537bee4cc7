/**
 * Gateway: the one origin. Passes requests, streams and sockets to the services, serves the page and the docs,
 * and watches the whole path with an order of its own.
 *
 *   client → gateway → identity | orders | notifications | dead-letters | chat
 */
import { createLogger } from '@ragline/runtime/logger';
import { runService } from '@ragline/runtime/run-service';
import { startTracing } from '@ragline/runtime/tracing';
import { readConfig } from './config.ts';
import { startGateway } from './gateway.ts';

const config = readConfig(process.env);
const log = createLogger({ service: 'gateway', level: config.logLevel, instance: config.instance });

await runService({ log, stopWithinMs: config.stopWithinMs }, async (own) => {
  own(startTracing({ service: 'gateway', instance: config.instance, endpoint: config.otlpEndpoint }), (it) =>
    it.stop(),
  );
  await startGateway(config, log, own);
});
