import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createMetrics } from '@ragline/runtime/metrics';
import { consumerMetrics } from '@ragline/streams/consumer-metrics';
import { describe, it } from 'mocha';
import { parse } from 'yaml';
import { createSender } from '../../services/dead-letters/src/alert-messages.ts';
import { alertMetrics } from '../../services/dead-letters/src/alert-metrics.ts';

type Rule = {
  record?: string;
  alert?: string;
  expr: string;
  annotations?: { summary?: string; runbook?: string };
};

const file: { groups: { name: string; rules: Rule[] }[] } = parse(
  readFileSync(join(import.meta.dirname, 'dead-letters.rules.yml'), 'utf8'),
  { strict: true, uniqueKeys: true },
);
const rules = file.groups.flatMap((group) => group.rules);
const manual = readFileSync(join(import.meta.dirname, '../../docs/operations/dead-letters.md'), 'utf8');

describe('the rules for Prometheus', () => {
  it('speak of metrics that are exported, and of sums that they make themselves', async () => {
    const known = new Set([...(await exportedNames()), ...rules.flatMap(({ record }) => record ?? [])]);
    const named = rules.flatMap(({ expr }) => expr.match(/\bragline[_:][a-z0-9_:]+/g) ?? []);
    assert.ok(named.length >= rules.length);
    const unknown = named.filter(
      (name) => !known.has(name) && !known.has(name.replace(/_(bucket|sum|count)$/, '')),
    );
    assert.deepEqual(unknown, []);
  });

  it('are alerts with names of their own', () => {
    const names = rules.map(({ alert, record }) => alert ?? record);
    assert.equal(new Set(names).size, rules.length);
  });

  for (const { alert, annotations } of rules.filter((rule) => rule.alert !== undefined)) {
    it(`says of ${alert} what happened, and where the manual has it`, () => {
      assert.ok(annotations?.summary);
      const [path, anchor] = (annotations.runbook ?? '').split('#');
      assert.equal(path, 'docs/operations/dead-letters.md');
      assert.ok(headings(manual).includes(anchor ?? ''), `${anchor} is no heading of the manual`);
    });
  }
});

/** Names of the metrics as a scrape of the service shows them. */
async function exportedNames(): Promise<string[]> {
  const metrics = createMetrics({ service: 'test' });
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  consumerMetrics(metrics, 'test');
  alertMetrics(metrics);
  const secret = Buffer.alloc(32).toString('base64');
  // It asks its pool for nothing before it is told to send.
  const pool = { query: () => Promise.reject(new Error('not asked')) };
  createSender({ pool, target: { url: 'http://localhost', secret }, log, metrics });
  return [...(await metrics.text()).matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name ?? '');
}

/** Anchors of a page, as GitHub makes them. */
function headings(markdown: string): string[] {
  return [...markdown.matchAll(/^#+ (.+)$/gm)].map(([, text = '']) =>
    text
      .toLowerCase()
      .replace(/[^\w\s-]/g, '')
      .trim()
      .replaceAll(' ', '-'),
  );
}
