/** What may be logged: bounded, without secrets, always serialisable. */

const depthMax = 5;
const entriesMax = 50;
const textMax = 8_192;
const removed = '[redacted]';

// The last word decides: access_token is a secret, token_id and prompt_tokens are not.
const secretName =
  /(^|_)(password|passphrase|secret|token|authorization|cookie|set_cookie|api_key|private_key|ticket|credentials?)$/;

/** A copy of the fields that is safe to print. */
export function redactFields(fields: Record<string, unknown>): Record<string, unknown> {
  return redactEntries(fields, 0);
}

/** An error as plain fields; its other properties may hold rows and bodies, so they stay out. */
export function errorFields(error: Error, depth = 0): Record<string, unknown> {
  const code = 'code' in error ? error.code : undefined;
  return {
    name: error.name,
    message: redactText(error.message),
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    stack: error.stack === undefined ? undefined : redactText(error.stack),
    ...(error.cause !== undefined && depth < depthMax ? { cause: redactValue(error.cause, depth + 1) } : {}),
  };
}

/** Takes passwords out of URLs, and tokens wherever they stand in a text. */
export function redactText(text: string): string {
  const bounded = text.length > textMax ? `${text.slice(0, textMax)}…` : text;
  if (!bounded.includes('://') && !bounded.includes('eyJ')) return bounded;
  return bounded
    .replace(/(:\/\/[^/\s:@]*:)[^/\s@]+@/g, `$1${removed}@`)
    .replace(/eyJ[\w-]{8,}\.[\w-]+\.[\w-]*/g, removed);
}

function redactEntries(fields: object, depth: number): Record<string, unknown> {
  const safe: Record<string, unknown> = {};
  let count = 0;
  for (const [name, value] of Object.entries(fields)) {
    if (++count > entriesMax) {
      safe['…'] = 'more';
      break;
    }
    safe[name] = isSecret(name, value) ? removed : redactValue(value, depth);
  }
  return safe;
}

function redactValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'function' || typeof value === 'symbol') return undefined;
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Error) return errorFields(value, depth);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (ArrayBuffer.isView(value)) return `<${value.byteLength} bytes>`;
  if (depth >= depthMax) return '…';
  if (Array.isArray(value)) return value.slice(0, entriesMax).map((item) => redactValue(item, depth + 1));
  if (value instanceof Map || value instanceof Set) return `<${value.size} entries>`;
  return redactEntries(value, depth + 1);
}

function isSecret(name: string, value: unknown): boolean {
  if (typeof value === 'number' || typeof value === 'boolean' || value === null || value === undefined)
    return false;
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll('-', '_')
    .toLowerCase();
  return secretName.test(words);
}
