/** ragline doctor: looks at every part, and says what is wrong and what mends it. */
import type { Command } from 'commander';
import { assistantCheck, modelCheck } from './doctor/assistant.ts';
import { examine, type Finding } from './doctor/check.ts';
import { databaseChecks } from './doctor/database.ts';
import { waitingChecks } from './doctor/dead-letters.ts';
import { doorsCheck } from './doctor/doors.ts';
import { eventChecks } from './doctor/events.ts';
import { fixSlot } from './doctor/fix-slot.ts';
import { machineChecks } from './doctor/machine.ts';
import { cacheCheck, serviceChecks } from './doctor/services.ts';
import { streamingChecks } from './doctor/streaming.ts';
import { readSettings } from './parts/settings.ts';

export function register(program: Command): void {
  program
    .command('doctor')
    .description('Checks every part and service, and names what is broken with the command that mends it.')
    .option('--json', 'print the findings as JSON')
    .option('--fix <what>', 'mend first: slot (frees a slot that somebody else holds)')
    .action(async ({ json, fix }: { json?: boolean; fix?: string }) => {
      const settings = await readSettings();
      if (fix !== undefined && fix !== 'slot') throw new Error(`--fix knows slot, not ${fix}`);
      if (fix === 'slot') process.stderr.write(`${await fixSlot(settings)}\n`);
      const checks = [
        ...machineChecks,
        ...databaseChecks,
        ...streamingChecks,
        ...eventChecks,
        ...waitingChecks,
        assistantCheck,
        modelCheck(),
        cacheCheck,
        ...serviceChecks(),
        doorsCheck,
      ];
      const findings = await examine(checks, settings);
      const code = findings.some(({ state }) => state === 'broken') ? 1 : 0;
      // A client of a part that does not answer goes on trying by itself: it is not waited for.
      process.stdout.write(json ? `${JSON.stringify(findings, null, 2)}\n` : report(findings), () =>
        process.exit(code),
      );
    });
}

const marks: Record<Finding['state'], string> = { ok: '✓', warning: '!', broken: '✗', skipped: '–' };

/** The findings for a person, with a last line that says how it stands. */
export function report(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ name }) => name.length));
  const lines = findings.flatMap(({ name, state, detail, mend }) => {
    const line = `  ${marks[state]} ${name.padEnd(width)}  ${detail}`;
    return mend === null ? [line] : [line, `    ${''.padEnd(width)}  Mend:  ${mend}`];
  });
  const broken = findings.filter(({ state }) => state === 'broken');
  const last = broken.length === 0 ? '  Healthy.' : `  Broken: ${broken.map(({ name }) => name).join(', ')}.`;
  return `\n${lines.join('\n')}\n\n${last}\n\n`;
}
