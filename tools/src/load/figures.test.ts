import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'mocha';
import { type Measured, readFigures } from './figures.ts';
import { drawPicture } from './picture.ts';
import { asTable } from './table.ts';

const columns = 'metric_name,timestamp,metric_value,error,expected_response,name,status';
const samples = [
  'http_reqs,1700000000100,1,,true,GET /v1/products,200',
  'http_req_duration,1700000000100,10,,true,GET /v1/products,200',
  'http_req_duration,1700000000900,30,,true,GET /v1/products,200',
  'http_req_duration,1700000002000,50,"read ""tcp"", refused",false,POST /v1/orders,0',
  'order_to_socket,1700000002000,80,,,,',
];

describe('figures of a load', () => {
  let folder: string;
  let measured: Measured;
  before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'ragline-figures-'));
    const file = path.join(folder, 'samples.csv');
    writeFileSync(file, [columns, ...samples, ''].join('\n'));
    measured = await readFigures(file);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('are by request, with what failed', () => {
    const { count, failed, ms } = measured.requests['GET /v1/products'] ?? {};
    assert.deepEqual([count, failed, ms?.p50, ms?.max], [2, 0, 10, 30]);
    assert.deepEqual(measured.requests['POST /v1/orders']?.failed, 1);
    assert.equal(measured.orderToSocket?.p50, 80);
  });

  it('are second by second, from the first request on', () => {
    assert.equal(measured.seconds, 3);
    assert.deepEqual(measured.series, [
      { second: 0, requests: 2, p50: 10, p95: 30 },
      { second: 2, requests: 1, p50: 50, p95: 50 },
    ]);
  });

  it('are a table in Markdown', () => {
    const memory = { 'orders 1': { before: 90, after: 120 } };
    const table = asTable({ ...measured, cacheHitRate: 0.875, memory, streams: undefined });
    assert.match(table, /^\| request \| count \| failed \|/);
    assert.match(table, /\| GET \/v1\/products \| 2 \| 0 \| 10 \| 30 \| 30 \| 30 \|/);
    assert.match(table, /in a cache: 87\.5 %/);
    assert.match(table, /orders 1 90 → 120/);
  });

  it('are a picture in SVG', () => {
    const svg = drawPicture('mixed', measured.series);
    assert.match(svg, /^<svg [^>]*viewBox="0 0 820 260"/);
    assert.equal(svg.match(/<polyline/g)?.length, 3);
    assert.ok(!svg.includes('NaN'));
  });
});
