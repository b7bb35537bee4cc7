/** The gateway's own `/metrics`, `/healthz` and `/readyz` on a port that the outside does not reach. */
import http from 'node:http';
import type { Metrics } from '@ragline/runtime/metrics';

export async function startMetricsServer(options: {
  host: string;
  port: number;
  metrics: Metrics;
  observe: () => void;
  ready: () => { code: number; body: unknown };
}) {
  const server = http.createServer((req, res) => {
    const send = (status: number, type: string, text: string) => {
      res.writeHead(status, { 'content-type': type });
      res.end(text);
    };
    if (req.url === '/healthz') send(200, 'application/json', '{"status":"ok"}');
    else if (req.url === '/readyz') {
      const { code, body } = options.ready();
      send(code, 'application/json', JSON.stringify(body));
    } else if (req.url === '/metrics') {
      options.observe();
      options.metrics.text().then(
        (text) => send(200, options.metrics.contentType, text),
        () => send(500, 'text/plain', ''),
      );
    } else send(404, 'text/plain', '');
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  return {
    close(): Promise<void> {
      return new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}
