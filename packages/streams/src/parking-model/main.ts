/**
 * The model of parking by hand:
 *
 *   node packages/streams/src/parking-model/main.ts [--seed 1] [--schedules 1000] [--fault NAME] [--trace]
 */
import { parseArgs } from 'node:util';
import { faultNames, faults } from './faults.ts';
import { runSchedule } from './schedule.ts';
import { countsOf, search } from './search.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    schedules: { type: 'string', default: '1000' },
    fault: { type: 'string' },
    trace: { type: 'boolean', default: false },
  },
});
const tell = (line: string) => process.stdout.write(`${line}\n`);
const from = Number(values.seed);
const fault = faultNames.find((name) => name === values.fault);
if (values.fault !== undefined && fault === undefined) {
  tell(
    `There is no such fault. There are:\n${faultNames.map((name) => `${name}: ${faults[name]}`).join('\n')}`,
  );
  process.exitCode = 2;
} else if (values.trace) {
  tell((await runSchedule({ seed: from, fault, trace: tell })) ?? 'clean');
} else {
  const stats = {};
  const planted = fault === undefined ? {} : { fault };
  const found = await search({ from, schedules: Number(values.schedules), stats, ...planted });
  tell(found === undefined ? 'clean' : `seed ${found.seed}: ${found.violation}`);
  tell(countsOf(stats));
  if (found !== undefined) process.exitCode = 1;
}
