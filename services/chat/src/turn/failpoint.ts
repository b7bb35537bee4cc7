/**
 * Named places in a worker where a test can end it. In order: begun, claimed, retrieved, model, text (after each piece),
 * tool, tool_called, approved, answered, finished, told.
 */
export type Failpoint = (name: FailpointName) => Promise<void>;

export const failpointNames = [
  'begun',
  'claimed',
  'retrieved',
  'model',
  'text',
  'tool',
  'tool_called',
  'approved',
  'answered',
  'finished',
  'told',
] as const;

export type FailpointName = (typeof failpointNames)[number];

export const noFailpoint: Failpoint = async () => {};
