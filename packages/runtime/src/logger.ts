/** Logs: one event with its fields a line, as JSON on stdout. */
import winston from 'winston';
import { currentContext } from './context.ts';
import { redactFields } from './redact.ts';

export const logLevels = ['error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof logLevels)[number];
export type LogFields = Record<string, unknown>;

/** What code logs to; nothing else of winston is used, so that another library is one file. */
export type Logger = Record<LogLevel, (event: string, fields?: LogFields) => void>;

export type LoggerOptions = {
  service: string;
  level: LogLevel;
  /** Which of several instances, such as notifications-2. */
  instance?: string | undefined;
  /** Where lines go; stdout when not given. */
  stream?: NodeJS.WritableStream;
};

/**
 * Each line has `time` (RFC 3339), `level`, `service`, `instance`, `message` (the event) and, when known,
 * `request_id`, `trace_id`, `tenant_id`; then the caller's fields, which cannot replace those.
 * Fields that look like secrets are redacted, errors become {name, message, code, stack}.
 */
export function createLogger({ service, level, instance, stream }: LoggerOptions): Logger {
  const line = winston.format.printf((info) => String(info.message));
  const transport = stream
    ? new winston.transports.Stream({ stream })
    : new winston.transports.Console({ stderrLevels: [] });
  const out = winston.createLogger({
    levels: { error: 0, warn: 1, info: 2, debug: 3 },
    level,
    format: line,
    transports: [transport],
  });
  const highest = logLevels.indexOf(level);

  const write = (at: LogLevel) => {
    if (logLevels.indexOf(at) > highest) return () => {};
    return (event: string, fields?: LogFields) => {
      const { request_id, trace_id, tenant_id } = currentContext();
      const known = { time: new Date().toISOString(), level: at, service, instance, message: event };
      const safe = fields === undefined ? undefined : redactFields(fields);
      out.log(at, JSON.stringify({ ...known, request_id, trace_id, tenant_id, ...without(safe, known) }));
    };
  };
  return { error: write('error'), warn: write('warn'), info: write('info'), debug: write('debug') };
}

function without(fields: LogFields | undefined, reserved: object): LogFields | undefined {
  if (fields === undefined) return undefined;
  const kept: LogFields = {};
  for (const [name, value] of Object.entries(fields)) {
    kept[Object.hasOwn(reserved, name) ? `field_${name}` : name] = value;
  }
  return kept;
}
