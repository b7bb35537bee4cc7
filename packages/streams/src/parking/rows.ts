/** Rows of schema streams as parking's values. Postgres' 64 bits are texts or numbers, as the pool has it. */
import { rawHeaders } from './headers.ts';
import type { Head, Letter, ParkedError } from './store.ts';

export type Row = Record<string, unknown>;

export function headOf(row: Row): Head {
  return {
    ...parkableOf(row),
    recordId: Number(row.record_id),
    lineId: Number(row.line_id),
    detached: row.detached === true,
    attempt: Number(row.attempt),
    deaths: Number(row.deaths),
    notBefore: msOf(row.not_before) ?? 0,
    firstFailedAt: msOf(row.first_failed_at),
  };
}

export function letterOf(row: Row): Letter {
  return {
    ...parkableOf(row),
    recordId: Number(row.record_id),
    deaths: Number(row.deaths),
    error: errorOf(row.error),
    firstFailedAt: msOf(row.first_failed_at),
  };
}

function parkableOf(row: Row) {
  return {
    offset: String(row.offset),
    key: bytesOrNull(row.key),
    value: bytesOrNull(row.value),
    headers: rawHeaders(row.headers),
    timestamp: Number(row.stamped_at),
    tenant_id: row.tenant_id === null ? null : String(row.tenant_id),
    event_id: String(row.event_id),
    inbox_id: String(row.inbox_id),
  };
}

// An operator's restore may bring an error of another shape.
function errorOf(error: unknown): ParkedError {
  const fields: Row = typeof error === 'object' && error !== null ? { ...error } : {};
  const text = (name: string) => (typeof fields[name] === 'string' ? fields[name] : '');
  return {
    code: text('code') || 'unknown',
    class: text('class'),
    message: text('message'),
    stack: text('stack'),
    attempt: Number(fields.attempt ?? 0),
    not_before: text('not_before'),
    failed_at: text('failed_at'),
  };
}

function bytesOrNull(value: unknown): Buffer | null {
  return Buffer.isBuffer(value) ? value : null;
}

function msOf(value: unknown): number | undefined {
  if (value instanceof Date) return value.getTime();
  return undefined;
}
