/** Runs what a runbook tells a person to type: the shell blocks below one of its headings, as they stand there. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');

export type RunbookOutcome = { code: number; stdout: string; stderr: string; commands: string };

/**
 * The blocks marked `sh` between this heading and the next one of its rank, one after the other.
 *
 * @param file below docs/operations
 */
export function commandsOf(file: string, heading: string): string {
  return blocksBelow(file, heading, 'sh');
}

/** The blocks marked `text` there: what is typed elsewhere than in a shell, such as SQL. */
export function textOf(file: string, heading: string): string {
  return blocksBelow(file, heading, 'text');
}

/** For a test that all of them are executed. */
export function headingsWithCommands(file: string): string[] {
  return sectionsOf(file, 'sh').flatMap(({ heading, blocks }) => (blocks.length > 0 ? [heading] : []));
}

function blocksBelow(file: string, heading: string, language: 'sh' | 'text'): string {
  const section = sectionsOf(file, language).find((it) => it.heading === heading);
  assert.ok(section, `${file} has no heading "${heading}"`);
  assert.ok(section.blocks.length > 0, `${file} tells no commands below "${heading}"`);
  return section.blocks.join('\n');
}

function sectionsOf(file: string, language: 'sh' | 'text'): { heading: string; blocks: string[] }[] {
  const text = readFileSync(join(root, 'docs', 'operations', file), 'utf8');
  return text.split(/^(?=##+ )/m).map((section) => ({
    heading: (section.split('\n', 1)[0] ?? '').replace(/^#+ /, ''),
    // In a numbered list they are indented.
    blocks: [...section.matchAll(new RegExp(`^ *\`\`\`${language}\\n(.*?)^ *\`\`\`$`, 'gms'))].map(
      ([, block]) => block ?? '',
    ),
  }));
}

/** @param env stands for what the runbook has the person set, such as TENANT, beside the stack's own settings */
export function runRunbook(
  file: string,
  heading: string,
  env: Record<string, string>,
  withinMs = 120_000,
): Promise<RunbookOutcome> {
  const commands = commandsOf(file, heading);
  // The same command without npm before it, which takes longer than what it starts.
  const npx = 'npx() { shift; node tools/bin/ragline.mjs "$@"; }';
  return new Promise((resolve) => {
    execFile(
      'bash',
      ['-euo', 'pipefail', '-c', `${npx}\n${commands}`],
      { cwd: root, env: { ...process.env, ...env }, timeout: withinMs, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr, commands }),
    );
  });
}
