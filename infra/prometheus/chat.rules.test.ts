import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createMetrics } from '@ragline/runtime/metrics';
import { describe, it } from 'mocha';
import { parse } from 'yaml';
import { indexMetrics } from '../../services/chat/src/knowledge/index-metrics.ts';
import { createObserver } from '../../services/chat/src/model/observe.ts';
import { turnMetrics } from '../../services/chat/src/turn/metrics.ts';

type Rule = {
  record?: string;
  alert?: string;
  expr: string;
  annotations?: { summary?: string; runbook?: string };
};

const file: { groups: { name: string; rules: Rule[] }[] } = parse(
  readFileSync(join(import.meta.dirname, 'chat.rules.yml'), 'utf8'),
  { strict: true, uniqueKeys: true },
);
const rules = file.groups.flatMap((group) => group.rules);
const manual = readFileSync(join(import.meta.dirname, '../../docs/operations/chat.md'), 'utf8');

describe('the rules for Prometheus about the assistant', () => {
  it('speak of metrics that are exported, and of sums that they make themselves', async () => {
    const known = new Set([...(await exportedNames()), ...rules.flatMap(({ record }) => record ?? [])]);
    const named = rules.flatMap(({ expr }) => expr.match(/\bragline[_:][a-z0-9_:]+/g) ?? []);
    assert.ok(named.length >= rules.length);
    const unknown = named.filter(
      (name) => !known.has(name) && !known.has(name.replace(/_(bucket|sum|count)$/, '')),
    );
    assert.deepEqual(unknown, []);
  });

  for (const { alert, annotations } of rules.filter((rule) => rule.alert !== undefined)) {
    it(`says of ${alert} what happened, and where the manual has it`, () => {
      assert.ok(annotations?.summary);
      const [path, anchor] = (annotations.runbook ?? '').split('#');
      assert.equal(path, 'docs/operations/chat.md');
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
  turnMetrics(metrics, () => 0);
  createObserver({ metrics, record() {}, countTokens: () => 0 });
  indexMetrics(metrics);
  return [...(await metrics.text()).matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name ?? '');
}
