/** An error as a person at a terminal wants it: its message and what caused it, not where in our code it was. */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const message = error instanceof AggregateError ? error.errors.map(explain).join('; ') : error.message;
  const cause = error.cause === undefined ? '' : `\n  because: ${explain(error.cause)}`;
  return (message || error.name) + cause;
}
