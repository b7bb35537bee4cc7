import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createMetrics } from '@ragline/runtime/metrics';
import { describe, it } from 'mocha';
import { parse } from 'yaml';
import { webhookMetrics } from '../../services/notifications/src/webhooks/metrics.ts';

type Rule = { alert: string; expr: string; annotations: { summary?: string; runbook?: string } };

const file: { groups: { rules: Rule[] }[] } = parse(
  readFileSync(join(import.meta.dirname, 'webhooks.rules.yml'), 'utf8'),
  { strict: true, uniqueKeys: true },
);
const rules = file.groups.flatMap((group) => group.rules);
const manual = readFileSync(join(import.meta.dirname, '../../docs/operations/webhooks.md'), 'utf8');

describe('the rules for Prometheus about webhooks', () => {
  it('speak of metrics that are exported', async () => {
    const metrics = createMetrics({ service: 'test' });
    webhookMetrics(metrics);
    const known = [...(await metrics.text()).matchAll(/^# TYPE (\S+)/gm)].map(([, name = '']) => name);
    const named = rules.flatMap(({ expr }) => expr.match(/\bragline_[a-z0-9_]+/g) ?? []);
    assert.ok(named.length >= rules.length);
    assert.deepEqual(
      named.filter((name) => !known.includes(name.replace(/_bucket$/, ''))),
      [],
    );
  });

  for (const { alert, annotations } of rules) {
    it(`says of ${alert} what happened, and where the manual has it`, () => {
      assert.ok(annotations.summary);
      const [path, anchor] = (annotations.runbook ?? '').split('#');
      assert.equal(path, 'docs/operations/webhooks.md');
      const headings = [...manual.matchAll(/^## (.+)$/gm)].map(([, text = '']) =>
        text.toLowerCase().replaceAll(' ', '-'),
      );
      assert.ok(headings.includes(anchor ?? ''), `${anchor} is no heading of the manual`);
      assert.ok(manual.includes(`\`${alert}\``), `the manual names ${alert}`);
    });
  }
});
