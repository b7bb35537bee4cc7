import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'mocha';
import { readConfig as chat } from '../../../services/chat/src/config.ts';
import { readConfig as deadLetters } from '../../../services/dead-letters/src/config.ts';
import { readConfig as gateway } from '../../../services/gateway/src/config.ts';
import { readConfig as identity } from '../../../services/identity/src/config.ts';
import { readConfig as notifications } from '../../../services/notifications/src/config.ts';
import { readConfig as orders } from '../../../services/orders/src/config.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const readText = (path: string) => readFileSync(join(root, path), 'utf8');
const documents = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  ...globSync('docs/**/*.md', { cwd: root }),
];

describe('the documents', () => {
  for (const document of documents) {
    it(`${document} links only to what is there`, () => {
      const links = [...readText(document).matchAll(/\]\((?!\w+:)([^)#\s]*)/g)].map(([, link = '']) => link);
      const missing = links.filter((link) => link !== '' && !existsSync(join(root, dirname(document), link)));
      assert.deepEqual(missing, []);
    });
  }

  it('list every decision', () => {
    const pages = globSync('docs/decisions/[0-9]*.md', { cwd: root }).map((path) =>
      path.replace(/^.*\//, ''),
    );
    const index = readText('docs/decisions/README.md');
    assert.deepEqual(
      pages.filter((page) => !index.includes(`(${page})`)),
      [],
    );
  });

  it('begin with a README that is read to its end', () => {
    assert.ok(readText('README.md').split('\n').length <= 200);
  });
});

describe('the table of settings', () => {
  const rows = readText('docs/operations/README.md')
    .split('\n')
    .filter((line) => line.startsWith('| `'));
  const documented = new Set(rows.flatMap((row) => namesIn(row.split('|')[1] ?? '')));
  const read = new Set([chat, deadLetters, gateway, identity, notifications, orders].flatMap(namesReadBy));

  it('has every setting that a service reads', () => {
    assert.deepEqual([...read].filter((name) => !documented.has(name)).sort(), []);
  });

  it('has no setting that nobody reads', () => {
    const settings = [...documented].filter((name) => !name.startsWith('ragline_'));
    assert.deepEqual(settings.filter((name) => !read.has(name)).sort(), []);
  });
});

function namesIn(cell: string): string[] {
  return [...cell.matchAll(/`([A-Z][A-Z0-9_]+)`/g)].map(([, name = '']) => name);
}

/** The names that a service asks for, whether they are set or not. */
function namesReadBy(readConfig: (env: NodeJS.ProcessEnv) => unknown): string[] {
  const names = new Set<string>();
  const env = new Proxy<NodeJS.ProcessEnv>(
    {},
    {
      get(_target, name) {
        names.add(String(name));
        return undefined;
      },
    },
  );
  // What is missing is what it complains about; here only the asking counts.
  assert.throws(() => readConfig(env));
  return [...names];
}
