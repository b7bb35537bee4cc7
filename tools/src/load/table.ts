/** The figures of a load as Markdown, for docs/benchmarks.md. */
import { round } from '../parts/numbers.ts';
import type { Figures } from './figures.ts';

export function asTable(figures: Figures): string {
  const { seconds, requests, orderToSocket, streams, cacheHitRate, memory } = figures;
  const all = Object.values(requests).reduce((sum, { count }) => sum + count, 0);
  const rows = Object.entries(requests).map(([name, { count, failed, ms }]) =>
    row(name, count, failed, ms.p50, ms.p95, ms.p99, ms.max),
  );
  if (orderToSocket !== undefined) {
    const { count, p50, p95, p99, max } = orderToSocket;
    rows.push(row('order sent → its event on the socket', count, 0, p50, p95, p99, max));
  }
  if (streams !== undefined) {
    const { ms, events, missing } = streams;
    const name = `order’s time → ${streams.streams} streams`;
    rows.push(row(name, events * streams.streams, missing + streams.doubled, ms.p50, ms.p95, ms.p99, ms.max));
  }
  const held = Object.entries(memory).map(([name, { before, after }]) => `${name} ${before} → ${after}`);
  return [
    row('request', 'count', 'failed', 'p50 ms', 'p95 ms', 'p99 ms', 'max ms'),
    row('---', '---', '---', '---', '---', '---', '---'),
    ...rows,
    '',
    `${round(all / Math.max(1, seconds))} requests a second over ${seconds} s. Reads of the catalogue found in a cache: ${cacheHitRate === undefined ? 'not counted' : `${round(cacheHitRate * 100)} %`}.`,
    ...(held.length > 0 ? [`Resident MiB before → after: ${held.join(', ')}.`] : []),
  ].join('\n');
}

function row(...cells: (string | number)[]): string {
  return `| ${cells.join(' | ')} |`;
}
