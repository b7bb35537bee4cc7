/** Which test file is of which kind: by its name and folder alone. */
import { globSync } from 'node:fs';

export const fileKinds = ['unit', 'integration', 'e2e', 'browser', 'security', 'faults', 'nightly'] as const;
export type FileKind = (typeof fileKinds)[number];

/**
 * The kind of a test file, or undefined when the path is no test.
 *
 * Beside the code: `*.int.test.ts` needs the real parts, other `*.test.ts` need nothing. Under tests/ the folder says
 * which promises are tested; only files that need no stack (tests/support, and pure ones in tests/faults, which are
 * not named `*.fault.test.ts`) are unit tests there. What is long is named `*.nightly.test.ts` anywhere.
 */
export function kindOf(path: string): FileKind | undefined {
  if (!path.endsWith('.test.ts') || path.includes('node_modules/')) return undefined;
  if (path.endsWith('.nightly.test.ts')) return 'nightly';
  if (path.endsWith('.int.test.ts')) return 'integration';
  const [, folder] = /^tests\/(\w+)\//.exec(path) ?? [];
  if (folder === 'e2e' || folder === 'security' || folder === 'browser') return folder;
  return path.endsWith('.fault.test.ts') ? 'faults' : 'unit';
}

/** All test files by kind, sorted; `only` keeps those whose path contains one of the given texts. */
export function testFiles(root: string, only: readonly string[] = []): Record<FileKind, string[]> {
  const found: Record<FileKind, string[]> = {
    unit: [],
    integration: [],
    e2e: [],
    security: [],
    browser: [],
    faults: [],
    nightly: [],
  };
  const folders = '{packages,services,schemas,connectors,infra,tools,tests}';
  for (const path of globSync(`${folders}/**/*.test.ts`, {
    cwd: root,
    exclude: ['**/node_modules/**'],
  }).sort()) {
    const kind = kindOf(path.replaceAll('\\', '/'));
    if (kind === undefined) continue;
    if (only.length === 0 || only.some((part) => path.includes(part))) found[kind].push(path);
  }
  return found;
}
