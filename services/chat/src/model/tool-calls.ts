/** Puts streamed tool calls together: each delta brings a part of one call's arguments. */
import { randomUUID } from 'node:crypto';
import type { ToolCall } from './model.ts';

/** As endpoints send it; some leave out the index, some the id. */
export type CallDelta = {
  index?: number | null;
  id?: string | null;
  function?: { name?: string | null; arguments?: string | null } | null;
};

export function collectToolCalls() {
  const calls: { index: number; id: string; name: string; arguments: string }[] = [];

  return {
    add(delta: CallDelta): void {
      const index = delta.index ?? Math.max(0, calls.length - 1);
      const name = delta.function?.name ?? '';
      const open = calls.findLast((call) => call.index === index);
      // Some endpoints number all calls 0 and tell them apart by id alone.
      const isAnother = open !== undefined && !!delta.id && name !== '' && open.id !== delta.id;
      if (open === undefined || isAnother) {
        const id = delta.id || `call_${randomUUID()}`;
        calls.push({ index, id, name, arguments: delta.function?.arguments ?? '' });
        return;
      }
      open.name ||= name;
      open.arguments += delta.function?.arguments ?? '';
    },

    /** The calls that have a name, in the order in which they began. */
    calls(): ToolCall[] {
      return calls
        .filter((call) => call.name !== '')
        .map(({ id, name, arguments: text }) => ({ id, name, arguments: text === '' ? '{}' : text }));
    },
  };
}
