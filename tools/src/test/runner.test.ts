import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { parseTestArguments, phaseNames } from './arguments.ts';
import { kindOf } from './files.ts';
import { alone, longFirst, planOf } from './plan.ts';
import { type PhaseResult, reportOf, sumLine } from './report.ts';
import { runMocha } from './workers.ts';

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

describe('the plan of a phase', () => {
  it('begins with what is long, and keeps apart what must be alone', () => {
    const [long = '', longer = ''] = longFirst;
    const [only = ''] = Object.keys(alone);
    assert.deepEqual(planOf(['a.test.ts', longer, only, long, 'b.test.ts']), {
      together: [long, longer, 'a.test.ts', 'b.test.ts'],
      alone: [only],
    });
  });

  it('knows no file that is not there', () => {
    const root = join(import.meta.dirname, '..', '..', '..');
    const names = [...longFirst, ...Object.keys(alone)];
    assert.deepEqual(
      names.filter((name) => !existsSync(join(root, name))),
      [],
    );
  });
});

describe('test files in processes side by side', () => {
  it('are all run and counted, and one that breaks its process down is named', async () => {
    const root = mkdtempSync(join(tmpdir(), 'ragline-runner-'));
    try {
      const files = ['good', 'deadly', 'better', 'best'].map((name) => join(root, `${name}.test.mjs`));
      const passing = `it('passes', () => {}); it('fails', () => { throw new Error('no') }); it.skip('waits')`;
      for (const file of files) writeFileSync(file, file.includes('deadly') ? 'process.exit(3)' : passing);
      const { passed, skipped, failures } = await runMocha({
        ...{ root, files, workers: 2, env: process.env, withinMs: 20_000 },
        ...{ script: join(import.meta.dirname, 'mocha.ts'), grep: undefined, timeoutMs: 5_000, color: false },
        print: () => {},
      });
      assert.deepEqual([passed, skipped, failures.length], [3, 3, 4]);
      assert.match(failures.find(({ message }) => /ended with 3/.test(message))?.title ?? '', /deadly/);
    } finally {
      rmSync(root, { recursive: true });
    }
  }).timeout(20_000);
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
