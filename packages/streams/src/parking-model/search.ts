/** Many schedules, until one breaks a promise. */
import type { Fault } from './faults.ts';
import { runSchedule, type Stats } from './schedule.ts';

export type Found = { seed: number; schedules: number; violation: string };

/** @param from the first seed; the others follow it */
export async function search({
  from,
  schedules,
  fault,
  stats = {},
}: {
  from: number;
  schedules: number;
  fault?: Fault;
  stats?: Stats;
}): Promise<Found | undefined> {
  for (let seed = from; seed < from + schedules; seed += 1) {
    const violation = await runSchedule({ seed, fault, stats });
    if (violation !== undefined) return { seed, schedules: seed - from + 1, violation };
  }
  return undefined;
}

/** What happened in a schedule, and how to see it again. */
export async function story(seed: number, lines = 80): Promise<string> {
  const told: string[] = [];
  await runSchedule({ seed, trace: (line) => told.push(line) });
  const again = `node packages/streams/src/parking-model/main.ts --seed ${seed} --trace`;
  return [`All of it: ${again}`, ...told.slice(-lines)].join('\n');
}

/** One line of counts, the most frequent first. */
export function countsOf({ steps = 0, ...counts }: Stats): string {
  const parts = Object.entries(counts).sort((a, b) => b[1] - a[1]);
  return [`${steps} steps`, ...parts.map(([what, count]) => `${count} ${what}`)].join(', ');
}
