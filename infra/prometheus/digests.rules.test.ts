import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Pool } from '@ragline/postgres/pool';
import { createMetrics } from '@ragline/runtime/metrics';
import { describe, it } from 'mocha';
import { parse } from 'yaml';
import { createPreferenceBook } from '../../services/notifications/src/preferences/book.ts';
import { startDigests } from '../../services/notifications/src/preferences/scheduler.ts';

type Rule = { alert: string; expr: string; annotations: { summary?: string; runbook?: string } };

const file: { groups: { rules: Rule[] }[] } = parse(
  readFileSync(join(import.meta.dirname, 'digests.rules.yml'), 'utf8'),
  { strict: true, uniqueKeys: true },
);
const rules = file.groups.flatMap((group) => group.rules);
const manual = readFileSync(join(import.meta.dirname, '../../docs/operations/digests.md'), 'utf8');

describe('the rules for Prometheus about preferences and digests', () => {
  it('speak of metrics that are exported', async () => {
    const known = await exportedNames();
    const named = rules.flatMap(({ expr }) => expr.match(/\bragline_[a-z0-9_]+/g) ?? []);
    assert.ok(named.length >= rules.length);
    assert.deepEqual(
      named.filter((name) => !known.includes(name)),
      [],
    );
  });

  for (const { alert, annotations } of rules) {
    it(`says of ${alert} what happened, and where the manual has it`, () => {
      assert.ok(annotations.summary);
      const [path, anchor] = (annotations.runbook ?? '').split('#');
      assert.equal(path, 'docs/operations/digests.md');
      const headings = [...manual.matchAll(/^## (.+)$/gm)].map(([, text = '']) =>
        text.toLowerCase().replaceAll(' ', '-'),
      );
      assert.ok(headings.includes(anchor ?? ''), `${anchor} is no heading of the manual`);
      assert.ok(manual.includes(`\`${alert}\``), `the manual names ${alert}`);
    });
  }
});

/** Names of the metrics as a scrape of the service shows them. */
async function exportedNames(): Promise<string[]> {
  const metrics = createMetrics({ service: 'test' });
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const away = () => Promise.reject(new Error('away'));
  createPreferenceBook({ store: { ofUsers: away, seen: away }, log, metrics, now: Date.now });
  const digests = startDigests({
    // As much of a pool as is used before it fails.
    pool: { query: away, connect: away } as unknown as Pool,
    encoder: away,
    log,
    metrics,
  });
  await digests.stop();
  return [...(await metrics.text()).matchAll(/^# TYPE (\S+)/gm)].map(([, name = '']) => name);
}
