/** Placeholder, filled in by aot.ts. */
import type { PartContext } from './part.ts';
import type { SupervisorEvent } from './supervisor.ts';

export function trainLater(
  _context: PartContext,
  _report: (event: SupervisorEvent) => void,
): { stop(): Promise<void> } {
  return { stop: async () => {} };
}
