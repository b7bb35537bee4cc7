import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'mocha';
import { checkoutDir } from './layout.mjs';

const pages = ['README.md', 'local.md'].map((name) => path.join(checkoutDir, 'docs/operations', name));
const table = pages.map((page) => readFileSync(page, 'utf8')).join('\n');
const named = (text: string, pattern: RegExp) =>
  [...text.matchAll(pattern)].flatMap((match) => match[1] ?? []);

describe('the table of settings', () => {
  for (const service of readdirSync(path.join(checkoutDir, 'services'))) {
    it(`has every setting of ${service}`, () => {
      const file = path.join(checkoutDir, 'services', service, 'src', 'config.ts');
      const names = named(
        readFileSync(file, 'utf8'),
        /\.(?:string|optional|integer|boolean|choice|url|list|secret)(?:<\w+>)?\(\s*'([A-Z0-9_]+)'/g,
      );
      assert.ok(names.length > 5);
      assert.deepEqual(
        [...new Set(names)].filter((name) => !table.includes(`\`${name}\``)),
        [],
      );
    });
  }

  it('has every setting of the start', () => {
    const sources = readdirSync(import.meta.dirname).filter(
      (name) => /\.(ts|mjs)$/.test(name) && !name.endsWith('.test.ts'),
    );
    const text = sources.map((name) => readFileSync(path.join(import.meta.dirname, name), 'utf8')).join('\n');
    const names = named(text, /env\.(RAGLINE_[A-Z_]+)/g).filter(
      (name) => !['RAGLINE_URL', 'RAGLINE_LOGS', 'RAGLINE_STARTED_AT'].includes(name),
    );
    assert.deepEqual(
      [...new Set(names)].filter((name) => !table.includes(`\`${name}\``)),
      [],
    );
  });
});
