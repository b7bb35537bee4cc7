/** What waits: records that the groups have not read, keys that are parked, letters that nobody has looked at. */
import type { Settings } from '../parts/settings.ts';
import type { Check, Verdict } from './check.ts';
import { withClient } from './database.ts';
import { withAdmin } from './streaming.ts';

const groups = ['notifications', 'webhooks', 'dead-letters', 'chat', 'chat-index'];
const lagWarn = 10_000;

export const waitingChecks: Check[] = [
  {
    name: 'lag',
    needs: ['kafka', 'topics'],
    mend: 'look at the checks of the services below; a group that only has much to do catches up by itself',
    async run(settings) {
      const lags = await withAdmin(settings, async (admin) => {
        const present = new Set(await admin.listTopics());
        return Promise.all(groups.map(async (group) => ({ group, lag: await lagOf(admin, group, present) })));
      });
      const detail = lags.map(({ group, lag }) => `${group} ${lag} records behind`).join(', ');
      return { state: lags.some(({ lag }) => lag > lagWarn) ? 'warning' : 'ok', detail };
    },
  },
  {
    name: 'dead letters',
    needs: ['postgres', 'migrations'],
    mend: 'npx ragline dead-letters list --state waiting',
    run: (settings) => waiting(settings),
  },
];

type Admin = Parameters<Parameters<typeof withAdmin>[1]>[0];

async function lagOf(admin: Admin, groupId: string, present: ReadonlySet<string>): Promise<number> {
  let lag = 0;
  for (const { topic, partitions } of await admin.fetchOffsets({ groupId })) {
    if (!present.has(topic)) continue;
    const ends = new Map((await admin.fetchTopicOffsets(topic)).map((it) => [it.partition, it]));
    for (const { partition, offset } of partitions) {
      const end = ends.get(partition);
      // -1: nothing is committed yet, and reading begins at the first record.
      const next = Number(offset) < 0 ? Number(end?.low ?? 0) : Number(offset);
      lag += Math.max(0, Number(end?.high ?? 0) - next);
    }
  }
  return lag;
}

type Counts = {
  letters: number;
  oldest_s: number | null;
  lines: number;
  followers: number;
  alerts: string[];
};

/** Letters that wait are work for a person, not a fault; an alert that nobody has acknowledged is one. */
async function waiting(settings: Settings): Promise<Verdict> {
  const counts = await withClient(settings, async (client) => {
    const { rows } = await client.query<Counts>(
      `SELECT (SELECT count(*) FROM dead_letters.letter WHERE state = 'waiting')::int AS letters,
              (SELECT extract(epoch FROM now() - min(kept_at)) FROM dead_letters.letter WHERE state = 'waiting')::int AS oldest_s,
              (SELECT count(*) FROM streams.parked_key)::int AS lines,
              (SELECT coalesce(sum(depth - 1), 0) FROM streams.parked_key)::int AS followers,
              ARRAY(SELECT kind || coalesce(' of ' || group_id, '') FROM dead_letters.alert
                     WHERE state = 'raised' AND acknowledged_at IS NULL AND coalesce(silenced_until, '-infinity') < now()
                     ORDER BY raised_at LIMIT 5) AS alerts`,
    );
    const [row] = rows;
    if (!row) throw new Error('no answer');
    return row;
  });
  const detail = describeWaiting(counts);
  if (counts.alerts.length === 0) return { detail };
  return { state: 'warning', detail: `${detail}; alert: ${counts.alerts.join(', ')}` };
}

/** `3 waiting, the oldest for 2 h; 1 parked key with 4 followers`. */
export function describeWaiting({ letters, oldest_s, lines, followers }: Omit<Counts, 'alerts'>): string {
  const age = oldest_s === null ? '' : `, the oldest for ${ageOf(oldest_s)}`;
  const keys = lines === 1 ? '1 parked key' : `${lines} parked keys`;
  const behind = followers === 1 ? '1 follower' : `${followers} followers`;
  return `${letters} waiting${age}; ${keys} with ${behind}`;
}

function ageOf(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)} h` : `${Math.round(seconds / 86_400)} days`;
}
