/** In which order test files run, and which run while no other does. */

/** What is long comes first, so that at the end no process works on alone. A name that is missing here costs time only. */
export const longFirst: readonly string[] = [
  'infra/local/supervisor.test.ts',
  'services/gateway/src/forward.test.ts',
  'services/gateway/src/sentinel.test.ts',
  'services/gateway/src/stream.test.ts',
  'packages/runtime/src/run-service.test.ts',

  'tests/faults/crashing-record.int.test.ts',
  'tests/faults/parking.int.test.ts',
  'tests/faults/replay-crash.int.test.ts',
  'tests/faults/batch.int.test.ts',
  'connectors/outbox.int.test.ts',
  'services/chat/src/tools/order-turns.int.test.ts',
  'services/chat/src/turn/deaths.int.test.ts',
  'tests/faults/consumer-killed.int.test.ts',
  'packages/streams/src/retry/tiers.int.test.ts',
  'tests/faults/outage.int.test.ts',
  'packages/streams/src/consumer.int.test.ts',
  'packages/streams/src/retry/guards.int.test.ts',
  'services/chat/src/turn/start.int.test.ts',
  'connectors/slot.int.test.ts',
  'services/dead-letters/src/consumer.int.test.ts',
];

/** Tests of what all others on the parts share, each with the reason why nobody may be beside it. */
export const alone: Record<string, string> = {
  'packages/postgres/src/access.int.test.ts': 'looks at every table and every row of the stack’s database',
  'packages/postgres/src/database.int.test.ts': 'drops partitions of outboxes that others write to',
  'packages/postgres/src/plain-owner.int.test.ts': 'makes and drops roles, which all databases share',
  'services/notifications/src/preferences/digests.int.test.ts':
    'counts the digests that are due, which any instance of the service tells',
  'services/orders/src/search-plan.int.test.ts':
    'asks for plans, which depend on what others write meanwhile',
};

/** Deals the files of a kind: first those that run side by side, in their order, then the others one by one. */
export function planOf(files: readonly string[]): { together: string[]; alone: string[] } {
  const shared = files.filter((file) => alone[file] === undefined);
  const long = longFirst.filter((file) => shared.includes(file));
  return {
    together: [...long, ...shared.filter((file) => !long.includes(file))],
    alone: files.filter((file) => alone[file] !== undefined),
  };
}
