import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { parseTestArguments, phaseNames } from './arguments.ts';
import { kindOf } from './files.ts';
import { type PhaseResult, reportOf, sumLine } from './report.ts';

describe('the kind of a test file', () => {
  for (const [path, kind] of [
    ['packages/web/src/api.test.ts', 'unit'],
    ['packages/postgres/src/pool.int.test.ts', 'integration'],
    ['services/orders/src/big.nightly.test.ts', 'nightly'],
    ['tests/e2e/order.test.ts', 'e2e'],
    ['tests/security/smuggling.test.ts', 'security'],
    ['tests/browser/page.test.ts', 'browser'],
    ['tests/faults/history.test.ts', 'unit'],
    ['tests/faults/kafka.fault.test.ts', 'faults'],
    ['tests/faults/all.nightly.test.ts', 'nightly'],
    ['tests/support/http.ts', undefined],
    ['node_modules/x/a.test.ts', undefined],
  ] as const) {
    it(`${path} is ${kind ?? 'no test'}`, () => {
      assert.equal(kindOf(path), kind);
    });
  }
});

describe('the arguments of npm test', () => {
  it('ask for everything but what is long', () => {
    assert.deepEqual(
      parseTestArguments([]).phases,
      phaseNames.filter((name) => name !== 'nightly'),
    );
  });

  it('choose phases, which keep their order, tests and files', () => {
    assert.deepEqual(parseTestArguments(['--only', 'unit,types', '--grep', 'order', 'packages/web']), {
      phases: ['types', 'unit'],
      grep: 'order',
      files: ['packages/web'],
      running: false,
    });
  });

  it('that are unknown are refused with the usage', () => {
    assert.throws(() => parseTestArguments(['--only', 'units']), /no phase units[\s\S]*--grep/);
    assert.throws(() => parseTestArguments(['--fast']), /--fast[\s\S]*--grep/);
  });
});

describe('the report', () => {
  const results: PhaseResult[] = [
    { name: 'types', passed: 1, skipped: 0, failures: [], ms: 100 },
    { name: 'unit', passed: 7, skipped: 2, failures: [{ title: 'adds', message: 'not 4' }], ms: 1_234 },
  ];

  it('ends with the sum alone on its line', () => {
    assert.equal(reportOf(results).split('\n').at(-1), '8 passed, 1 failed, 2 skipped');
    assert.equal(sumLine([]), '0 passed, 0 failed');
  });

  it('names what failed, and why', () => {
    assert.match(reportOf(results), / {2}unit: adds\n {6}not 4\n/);
  });
});
