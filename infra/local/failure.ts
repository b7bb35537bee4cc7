/**
 * A start that failed, told so that the reader can mend it: cause, the last lines of that part's log,
 * one command, the path of the full log.
 */
import { readFileSync } from 'node:fs';

export class StartFailure extends Error {
  readonly part: string;
  readonly mend: string;
  readonly logFile: string | undefined;
  readonly more: string | undefined;

  /** `mend` is one command, or one sentence where no command can help. */
  constructor(
    part: string,
    message: string,
    { mend, logFile, more, cause }: { mend: string; logFile?: string; more?: string; cause?: unknown },
  ) {
    super(message, { cause });
    this.name = 'StartFailure';
    this.part = part;
    this.mend = mend;
    this.logFile = logFile;
    this.more = more;
  }
}

/** The last lines of a log that say something, trimmed to a terminal's width; none when there is no log. */
export function lastLines(logFile: string | undefined, count = 5): string[] {
  if (!logFile) return [];
  try {
    const lines = readFileSync(logFile, 'utf8').split('\n');
    return lines
      .filter((line) => line.trim() !== '')
      .slice(-count)
      .map((line) => (line.length > 200 ? `${line.slice(0, 199)}…` : line));
  } catch {
    return [];
  }
}

/** Lines for a terminal, without colour. */
export function failureLines(failure: StartFailure, logLines = lastLines(failure.logFile)): string[] {
  const lines = [`✗ ${failure.message}`];
  for (const line of logLines) lines.push(`    ${line}`);
  lines.push(`    Mend:  ${failure.mend}`);
  if (failure.more) lines.push(`    More:  ${failure.more}`);
  if (failure.logFile) lines.push(`    Full log:  ${failure.logFile}`);
  return lines;
}
