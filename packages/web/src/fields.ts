/** Shared pieces of schemas: what they let through, Postgres, Avro and JSON can hold. */
import { z } from 'zod';

// Postgres refuses NUL in text; half a surrogate pair has no UTF-8.
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is there to refuse that very character.
const storable = /^[^\u0000\ud800-\udfff]*$/u;
const unstorable = 'must not contain NUL or half a surrogate pair';

/** A text of `min` to `max` UTF-16 units. */
export function text(max: number, min = 0) {
  // As metadata: of a regex with a flag the generator makes a pattern that matches nothing.
  return z
    .string()
    .min(min)
    .max(max)
    .refine((value) => storable.test(value), unstorable)
    .meta({ pattern: '^[^\\u0000\\ud800-\\udfff]*$' });
}

/** A whole number within the bounds; those of Postgres' integer when none are given. */
export function int(min = -2_147_483_648, max = 2_147_483_647) {
  return z.int().min(min).max(max);
}

/** Minor units; bounded so that 200 lines of 1,000 pieces stay a safe integer. */
export const moneyMax = 10_000_000_000;
export const money = z.int().min(0).max(moneyMax).meta({ description: 'Minor units of the currency.' });

/** ISO 4217, such as EUR. */
export const currency = z
  .string()
  .regex(/^[A-Z]{3}$/, 'must be three capital letters (ISO 4217)')
  .meta({ example: 'EUR' });

/** In a path, anything else is 404; elsewhere 422. */
export const uuid = z.uuid();

/** RFC 3339 with an offset. */
export const timestamp = z.iso.datetime({ offset: true }).max(40);

/** `Idempotency-Key`: 1 to 255 visible characters, in quotes (IETF draft) or bare. */
export const idempotencyKey = z
  .string()
  .regex(/^[\x21-\x7e]{1,255}$/, 'must be 1 to 255 visible ASCII characters')
  .transform((key) => (key.length > 2 && key.startsWith('"') && key.endsWith('"') ? key.slice(1, -1) : key))
  .meta({
    description:
      'Yours, new for each thing to be made: the same request again gets the first answer, for 24 h.',
    example: '8f14e45f-ceea-467f-a8f1-3b2c1d0e9f77',
  });

/** A whole number in a query string. */
export function queryInt(min: number, max: number) {
  return z
    .string()
    .regex(/^-?\d{1,16}$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.int().min(min).max(max))
    .meta({ type: 'integer', minimum: min, maximum: max });
}

/** true or false in a query string. */
export const queryBoolean = z.enum(['true', 'false']).transform((word) => word === 'true');

/**
 * An object of free form, such as a product's attributes: bounded in depth, entries and size, and storable as
 * jsonb throughout.
 */
export function freeObject({ depthMax = 5, entriesMax = 200, bytesMax = 16_384 } = {}) {
  // No z.record: it drops a field __proto__ in silence, and a copy without it is not what was sent.
  return z
    .custom<Record<string, unknown>>(isObject, 'must be an object')
    .superRefine((value, issues) => {
      const fault = faultIn(value, depthMax, { entries: entriesMax }) ?? sizeFault(value, bytesMax);
      if (fault !== undefined) issues.addIssue({ code: 'custom', message: fault });
    })
    .meta({ type: 'object', additionalProperties: true });
}

const isObject = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function sizeFault(value: unknown, bytesMax: number): string | undefined {
  return Buffer.byteLength(JSON.stringify(value)) > bytesMax
    ? `must not exceed ${bytesMax} bytes`
    : undefined;
}

/** False for 1e999, which is no number any more, and for integers that were rounded on the way. */
function isExact(value: number): boolean {
  return Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value));
}

function faultIn(value: unknown, depth: number, budget: { entries: number }): string | undefined {
  if (typeof value === 'string') return storable.test(value) ? undefined : unstorable;
  if (typeof value === 'number' && !isExact(value)) return 'must not contain numbers that JSON cannot keep';
  if (typeof value !== 'object' || value === null) return undefined;
  if (depth === 0) return 'is nested too deeply';
  for (const [key, item] of Object.entries(value)) {
    if (--budget.entries < 0) return 'has too many entries';
    // Lost by whoever copies the object: it would set the copy's prototype.
    if (key === '__proto__') return 'must not have a field __proto__';
    const fault = faultIn(key, depth, budget) ?? faultIn(item, depth - 1, budget);
    if (fault !== undefined) return fault;
  }
  return undefined;
}
