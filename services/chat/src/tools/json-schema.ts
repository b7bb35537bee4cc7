/** The schema of a tool's arguments, as models read it. */
import { z } from 'zod';

/** The JSON Schema of what a model writes. Throws when the schema has parts that JSON Schema cannot say. */
export function jsonSchemaOf(schema: z.ZodType): object {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io: 'input',
    override: ({ jsonSchema }) => {
      // Beside a format the pattern only says the same again, in hundreds of tokens.
      if (jsonSchema.format !== undefined) delete jsonSchema.pattern;
    },
  });
  return rest;
}
