/** What k6 measured, from its samples (CSV): by request, and second by second. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { percentile, spread } from '../parts/numbers.ts';
import type { StreamFigures } from './event-streams.ts';

export type RequestFigures = { count: number; failed: number; ms: ReturnType<typeof spread> };
/** A second of the run: requests, and their p50 and p95 in ms. */
export type Second = { second: number; requests: number; p50: number; p95: number };
export type Measured = {
  seconds: number;
  requests: Record<string, RequestFigures>;
  orderToSocket: (ReturnType<typeof spread> & { count: number }) | undefined;
  series: Second[];
};
export type Figures = Measured & {
  /** Of the reads of the catalogue, 0 to 1; undefined where nobody counted. */
  cacheHitRate: number | undefined;
  /** Resident MiB of each process of ours, before and after. */
  memory: Record<string, { before: number; after: number }>;
  streams: StreamFigures | undefined;
};

/** Reads the file line by line: an hour's has some hundred MiB. */
export async function readFigures(csv: string): Promise<Measured> {
  const byName = new Map<string, number[]>();
  const failed = new Map<string, number>();
  const bySecond = new Map<number, number[]>();
  const toSocket: number[] = [];
  let header: Map<string, number> | undefined;
  for await (const text of createInterface({ input: createReadStream(csv) })) {
    const cells = cellsOf(text);
    if (header === undefined) {
      header = new Map(cells.map((name, i) => [name, i]));
      continue;
    }
    const cell = (name: string) => cells[header?.get(name) ?? -1] ?? '';
    const value = Number(cell('metric_value'));
    if (cell('metric_name') === 'order_to_socket') toSocket.push(value);
    if (cell('metric_name') !== 'http_req_duration') continue;
    add(byName, cell('name'), value);
    add(bySecond, Math.floor(Number(cell('timestamp')) / 1_000), value);
    if (cell('expected_response') !== 'true') failed.set(cell('name'), (failed.get(cell('name')) ?? 0) + 1);
  }
  const first = Math.min(...bySecond.keys());
  return {
    seconds: bySecond.size === 0 ? 0 : Math.max(...bySecond.keys()) - first + 1,
    requests: Object.fromEntries(
      [...byName].sort().map(([name, values]) => {
        return [name, { count: values.length, failed: failed.get(name) ?? 0, ms: spread(values) }];
      }),
    ),
    orderToSocket: toSocket.length === 0 ? undefined : { count: toSocket.length, ...spread(toSocket) },
    series: [...bySecond]
      .sort(([a], [b]) => a - b)
      .map(([second, values]) => ({
        second: second - first,
        requests: values.length,
        p50: percentile(values, 0.5),
        p95: percentile(values, 0.95),
      })),
  };
}

/** A line of CSV (RFC 4180): what k6 says of a failed request is quoted, and may have commas in it. */
function cellsOf(text: string): string[] {
  if (!text.includes('"')) return text.split(',');
  return Array.from(text.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g), ([, quoted, plain]) =>
    quoted === undefined ? (plain ?? '') : quoted.replaceAll('""', '"'),
  );
}

function add<K>(lists: Map<K, number[]>, key: K, value: number): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}
