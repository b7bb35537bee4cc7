/** The guard that keeps the promise "unknown body fields are refused" at every depth. */
import { z } from 'zod';

/** Throws TypeError when an object within the schema would drop unknown fields in silence. */
export function assertStrict(schema: z.ZodType, route: string): void {
  visit(schema, '', route, new Set());
}

function visit(schema: unknown, path: string, route: string, seen: Set<unknown>): void {
  if (!(schema instanceof z.ZodType) || seen.has(schema)) return;
  seen.add(schema);
  if (schema instanceof z.ZodObject) {
    if (schema.def.catchall === undefined) {
      throw new TypeError(
        `${route}: body${path} must be z.strictObject, or it would drop unknown fields in silence`,
      );
    }
    for (const [key, field] of Object.entries(schema.shape)) visit(field, `${path}.${key}`, route, seen);
    return;
  }
  const { def } = schema;
  for (const inner of ['innerType', 'element', 'valueType', 'in', 'left', 'right'] as const) {
    if (inner in def) visit(Reflect.get(def, inner), inner === 'element' ? `${path}[]` : path, route, seen);
  }
  const options: unknown = Reflect.get(def, 'options');
  if (Array.isArray(options)) for (const option of options) visit(option, path, route, seen);
}
