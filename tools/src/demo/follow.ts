/** What comes of the demo's records, as an operator sees it over REST. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, queryOf, RestError } from '../dead-letters/client.ts';
import { duration } from '../parts/output.ts';
import { isJson, type Json, rowsOf } from '../seed/rest.ts';

export type Sent = {
  name: string;
  promise: string;
  key: string;
  /** topic/partition/offset of the one that fails. */
  record: string;
  event_ids: string[];
};
export type Seen = Sent & { state: string; letter: string | null };

const everyMs = 500;

/** Failpoints act in this group alone. Each other group that reads the topic has letters of its own of what nobody can read. */
const group = 'notifications';

/** Tells each change as it comes, until every case has come to a letter or was handled, or the time is over. */
export async function follow(
  client: Client,
  sent: readonly Sent[],
  { watchMs, json }: { watchMs: number; json: boolean },
): Promise<Seen[]> {
  const began = Date.now();
  const from = new Date(began - 60_000).toISOString();
  let seen: Seen[] = sent.map((one) => ({ ...one, state: 'sent', letter: null }));
  if (watchMs === 0) return seen;
  say(json, `\nLooking on for ${duration(watchMs)} at most (Ctrl-C ends it, and changes nothing):\n`);
  while (Date.now() - began < watchMs) {
    const now = await look(client, seen, from);
    for (const [at, one] of now.entries()) {
      if (one.state === seen[at]?.state) continue;
      say(json, `${duration(Date.now() - began).padStart(8)}  ${one.name.padEnd(18)} ${one.state}\n`);
    }
    seen = now;
    if (seen.every(isOver)) break;
    await sleep(everyMs);
  }
  say(json, advice(seen));
  return seen;
}

async function look(client: Client, seen: readonly Seen[], from: string): Promise<Seen[]> {
  const topic = 'orders.v1';
  const letters = rowsOf(await client.get(`/v1/dead-letters${queryOf({ group, topic, from, limit: 200 })}`));
  const parked = rowsOf(await client.get(`/v1/parked-keys${queryOf({ group, topic, limit: 200 })}`));
  return Promise.all(
    seen.map(async (one) => {
      const letter = letters.find((row) => `${row.topic}/${row.partition}/${row.offset}` === one.record);
      const line = parked.find(({ key, detached }) => key === one.key && detached !== true);
      if (letter !== undefined)
        return { ...one, letter: String(letter.id), state: letterState(letter, line) };
      if (line !== undefined) return { ...one, state: lineState(line) };
      return { ...one, state: (await isHandled(client, one)) ? 'handled' : one.state };
    }),
  );
}

const isOver = ({ state }: Seen) => state === 'handled' || state.startsWith('letter');

function letterState({ id, state, error_code }: Json, line: Json | undefined): string {
  const behind = line === undefined ? '' : `, ${line.followers} behind it`;
  return `letter ${id} ${state} (${error_code ?? 'no code'})${behind}`;
}

function lineState({ head, followers }: Json): string {
  const { attempt, not_before } = isJson(head) ? head : {};
  const next = typeof not_before === 'string' ? `, next at ${not_before.slice(11, 19)}` : '';
  return `failed ${attempt === 1 ? 'once' : `${attempt} times`}${next}, ${followers} behind it`;
}

/** What the group says of an event that it is done with. */
const handledOutcomes = new Set(['handled', 'notified', 'ignored', 'duplicate']);

/** By the trace of its last event. */
async function isHandled(client: Client, { event_ids }: Seen): Promise<boolean> {
  try {
    return hasHandled(await client.get(`/v1/events/${event_ids.at(-1)}/trace`));
  } catch (error) {
    if (error instanceof RestError && error.status === 404) return false;
    throw error;
  }
}

/** Whether the group that was made to fail has dealt with a traced event; others deal with it at once. */
export function hasHandled({ groups }: Json): boolean {
  const told = Array.isArray(groups) ? groups.filter(isJson) : [];
  return told.some((one) => one.group === group && handledOutcomes.has(String(one.outcome)));
}

function advice(seen: readonly Seen[]): string {
  const waiting = seen.filter((one) => !isOver(one)).map(({ name }) => name);
  const open =
    waiting.length === 0
      ? []
      : [
          '',
          `Still waiting for their next attempt: ${waiting.join(', ')}.`,
          '  npx ragline dead-letters parked',
        ];
  const letter =
    seen.find(({ letter: id, state }) => id !== null && /[1-9]\d* behind/.test(state)) ??
    seen.find((one) => one.letter !== null);
  if (letter === undefined) return [...open, '', 'No letter yet.', ''].join('\n');
  const { letter: id } = letter;
  return [
    ...open,
    '',
    'What an operator does next:',
    `  npx ragline dead-letters show ${id}`,
    `  npx ragline dead-letters edit ${id} --without-header x-ragline-failpoint --note "mended"`,
    `  npx ragline dead-letters replay ${id} --wait      # the followers come after it, in order`,
    '',
  ].join('\n');
}

function say(json: boolean, text: string): void {
  if (!json) process.stdout.write(text);
}
