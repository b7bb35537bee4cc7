/** ragline dead-letters list, show, replay, discard, restore, edit, export. */
import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { print } from '../parts/output.ts';
import { readSettings } from '../parts/settings.ts';
import { type Json, rowsOf } from '../seed/rest.ts';
import { type Client, createClient, type LoginOptions, queryOf, RestError, withLogin } from './client.ts';
import { letterText, summaryRow } from './letter-text.ts';

export type FilterOptions = {
  state?: string;
  group?: string;
  topic?: string;
  tenant?: string;
  errorCode?: string;
  fingerprint?: string;
  key?: string;
  from?: string;
  to?: string;
  q?: string;
};
type Output = { json?: boolean };

/** The list's filters, as options. */
export function withFilter(command: Command): Command {
  return command
    .option('--state <state>', 'waiting, replaying, resolved or discarded')
    .option('--group <group>', 'the consumer group that gave up')
    .option('--topic <topic>', 'where the record was read from at first')
    .option('--tenant <id>', 'whose it is')
    .option('--error-code <code>', 'such as schema_unknown')
    .option('--fingerprint <text>', 'letters that failed alike')
    .option('--key <key>', "the record's key")
    .option('--from <time>', 'kept at this time or later')
    .option('--to <time>', 'kept at this time or earlier')
    .option('--q <words>', 'words of ids, error, key and value');
}

/** The options as the API names them. */
export function filterOf({ errorCode, ...options }: FilterOptions): Record<string, string> {
  const { state, group, topic, tenant, fingerprint, key, from, to, q } = options;
  const named = { state, group, topic, tenant, error_code: errorCode, fingerprint, key, from, to, q };
  return Object.fromEntries(
    Object.entries(named).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

export async function clientFrom(options: LoginOptions): Promise<Client> {
  return createClient(await readSettings(), options);
}

const base = '/v1/dead-letters';
const pathOf = (id: string, verb = '') => `${base}/${encodeURIComponent(id)}${verb}`;

export function registerLetters(parent: Command): void {
  withFilter(withLogin(parent.command('list')))
    .description('Shows dead letters, newest first.')
    .option('--limit <number>', 'how many at most', '20')
    .option('--cursor <cursor>', 'go on where an earlier list ended')
    .option('--json', 'print JSON')
    .action(async (options: LoginOptions & FilterOptions & Output & { limit: string; cursor?: string }) => {
      const client = await clientFrom(options);
      const { limit, cursor } = options;
      const page = await client.get(`${base}${queryOf({ ...filterOf(options), limit, cursor })}`);
      print(rowsOf(page), options.json === true, summaryRow);
      if (typeof page.next_cursor === 'string') process.stderr.write(`more: --cursor ${page.next_cursor}\n`);
    });

  withLogin(parent.command('show <id>'))
    .description('Shows one letter: the error, each attempt, the value, the headers.')
    .option('--json', 'print JSON')
    .action(async (id: string, options: LoginOptions & Output) => {
      const letter = await ofLetter(id, (await clientFrom(options)).get(pathOf(id)));
      process.stdout.write(options.json ? `${JSON.stringify(letter, null, 2)}\n` : letterText(letter));
    });

  withLogin(parent.command('replay <id...>'))
    .description('Sends letters back to the one group that failed; one attempt each.')
    .option('--wait', 'until each is resolved or has failed again; exit code 1 unless all are resolved')
    .option('--within <seconds>', 'how long to wait', '60')
    .option('--json', 'print JSON')
    .action(async (ids: string[], options: LoginOptions & Output & { wait?: boolean; within: string }) => {
      const client = await clientFrom(options);
      const sent = await each(ids, (id) => client.post(pathOf(id, '/replay')));
      const done = options.wait ? await eachOutcome(client, sent, 1_000 * Number(options.within)) : sent;
      finish(done, options, options.wait ? ['resolved'] : ['replaying', 'resolved']);
    });

  withLogin(parent.command('discard <id...>'))
    .description('Decides against letters; what waits behind them in order goes on. Can be restored.')
    .requiredOption('--reason <text>', 'why, for those who read it later')
    .option('--json', 'print JSON')
    .action(async (ids: string[], options: LoginOptions & Output & { reason: string }) => {
      const client = await clientFrom(options);
      const { reason } = options;
      finish(await each(ids, (id) => client.post(pathOf(id, '/discard'), { reason })), options, [
        'discarded',
      ]);
    });

  withLogin(parent.command('restore <id...>'))
    .description('Takes discarding back: the letters wait again.')
    .option('--json', 'print JSON')
    .action(async (ids: string[], options: LoginOptions & Output) => {
      const client = await clientFrom(options);
      finish(await each(ids, (id) => client.post(pathOf(id, '/restore'))), options, ['waiting']);
    });

  withLogin(parent.command('edit <id>'))
    .description('Changes the value, headers or notes of a letter that waits; replay sends it then.')
    .option('--value <file>', "the new value as JSON, - for stdin; checked against the writer's schema")
    .option('--set <path=json...>', 'one field of the value, such as order.items.0.quantity=2')
    .option('--header <name=text...>', 'sets a header')
    .option('--without-header <name...>', 'takes a header away')
    .option('--note <text>', 'a note for those who read it later')
    .option('--json', 'print JSON')
    .action(edit);

  withFilter(withLogin(parent.command('export')))
    .description('Writes all letters that the filter finds; the exit code is 0 only when all are there.')
    .option('--format <format>', 'ndjson or csv', 'ndjson')
    .option('-o, --output <file>', 'to a file; else to stdout')
    .action(async (options: LoginOptions & FilterOptions & { format: string; output?: string }) => {
      const client = await clientFrom(options);
      const query = queryOf({ ...filterOf(options), format: options.format });
      // A day: what is large takes its time, and ends by itself when nothing comes.
      const answer = await client.send('GET', `${base}/export${query}`, { withinMs: 86_400_000 });
      if (!answer.ok || answer.body === null) {
        throw new RestError('The export', answer.status, await answer.json().catch(() => undefined));
      }
      const to = options.output === undefined ? process.stdout : createWriteStream(options.output);
      await pipeline(Readable.fromWeb(answer.body), to, { end: options.output !== undefined });
    });
}

type EditOptions = LoginOptions &
  Output & { value?: string; set?: string[]; header?: string[]; withoutHeader?: string[]; note?: string };

async function edit(id: string, options: EditOptions): Promise<void> {
  const client = await clientFrom(options);
  const { headers: answered, body: letter } = await client.call('GET', pathOf(id));
  const value = await valueFrom(letter, options);
  const headers = {
    ...Object.fromEntries((options.header ?? []).map(splitPair)),
    ...Object.fromEntries((options.withoutHeader ?? []).map((name) => [name, null])),
  };
  const body = {
    ...(value !== undefined && { value }),
    ...(Object.keys(headers).length > 0 && { headers }),
    ...(options.note !== undefined && { note: options.note }),
  };
  if (Object.keys(body).length === 0)
    throw new Error('Nothing to change: --value, --set, --header or --note');
  const edited = await client.call('PATCH', pathOf(id), {
    body,
    headers: { 'if-match': answered.get('etag') ?? '' },
  });
  finish([edited.body], options, ['waiting', 'replaying', 'resolved', 'discarded']);
}

async function valueFrom(letter: Json, { value, set }: EditOptions): Promise<unknown> {
  if (value !== undefined)
    return JSON.parse(value === '-' ? await textOf(process.stdin) : await readFile(value, 'utf8'));
  if (set === undefined) return undefined;
  const changed: unknown = structuredClone(letter.value);
  for (const [path, text] of set.map(splitPair)) setAt(changed, path.split('.'), jsonOr(text));
  return changed;
}

/** Sets a field that is there; throws for a path that leads nowhere, so that a slip of the pen adds nothing. */
export function setAt(target: unknown, [name = '', ...rest]: readonly string[], value: unknown): void {
  if (typeof target !== 'object' || target === null || !Object.hasOwn(target, name)) {
    throw new Error(`The value has no field ${name}`);
  }
  if (rest.length > 0) setAt(Reflect.get(target, name), rest, value);
  else Reflect.set(target, name, value);
}

/** name=text */
export function splitPair(pair: string): [string, string] {
  const at = pair.indexOf('=');
  if (at < 1) throw new Error(`${pair} is not name=value`);
  return [pair.slice(0, at), pair.slice(at + 1)];
}

function jsonOr(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

async function textOf(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** Throws, where there is no such letter, an error that says so. */
export async function ofLetter<T>(id: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof RestError && error.code === 'not_found') error.message = `There is no letter ${id}`;
    throw error;
  }
}

/** One after another; what fails for one letter is told with it, and the others go on. */
async function each(ids: readonly string[], act: (id: string) => Promise<Json>): Promise<Json[]> {
  const results: Json[] = [];
  for (const id of ids) {
    try {
      results.push(await ofLetter(id, act(id)));
    } catch (error) {
      if (!(error instanceof RestError)) throw error;
      results.push({ id, state: 'not done', error: error.message });
    }
  }
  return results;
}

async function eachOutcome(client: Client, sent: readonly Json[], waitMs: number): Promise<Json[]> {
  const deadline = Date.now() + waitMs;
  const done: Json[] = [];
  for (let letter of sent) {
    while (letter.state === 'replaying' && Date.now() < deadline) {
      await sleep(200);
      letter = await client.get(pathOf(String(letter.id)));
    }
    done.push(letter);
  }
  return done;
}

function finish(letters: readonly Json[], { json }: Output, wanted: readonly string[]): void {
  print(letters, json === true, ({ id, state, group, version, error, error_message }) => ({
    id,
    state,
    group,
    version,
    error: error ?? (state === 'waiting' && !wanted.includes('waiting') ? error_message : undefined),
  }));
  if (!letters.every(({ state }) => wanted.includes(String(state)))) process.exitCode = 1;
}
