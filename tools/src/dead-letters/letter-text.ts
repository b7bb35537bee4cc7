/** Letters as a person reads them. */
import { printable } from '../parts/output.ts';
import { isJson, type Json } from '../seed/rest.ts';

const short = (text: unknown, length: number): string => {
  const line = printable(String(text ?? '').replaceAll(/\s+/g, ' '));
  return line.length > length ? `${line.slice(0, length - 1)}…` : line;
};

/** Headers that the group added when it gave up: what they say stands above already. */
const addedHeader = /^(original|error|first-failed|failed|not-before|attempt|deaths|inbox-id|parked-record)/;

export function agoOf(time: unknown, now = Date.now()): string | null {
  if (typeof time !== 'string') return null;
  const seconds = Math.max(0, Math.round((now - Date.parse(time)) / 1_000));
  const [unit, each] =
    seconds < 120
      ? ['s', 1]
      : seconds < 7_200
        ? ['min', 60]
        : seconds < 172_800
          ? ['h', 3_600]
          : ['d', 86_400];
  return `${Math.floor(seconds / Number(each))} ${unit} ago`;
}

export function summaryRow(letter: Json): Json {
  const { id, state, group, topic, partition, offset, event_type, error_code, error_message, kept_at } =
    letter;
  return {
    id,
    state,
    group,
    record: `${topic}/${partition}/${offset}`,
    event: event_type,
    kept: agoOf(kept_at),
    error: short(error_code, 30),
    message: short(error_message, 60),
  };
}

/** Fields with names of one width, then what has several lines. */
export function letterText(letter: Json): string {
  const { value, raw, headers, attempts, actions, notes, error_stack, group_why: _, ...fields } = letter;
  const width = Math.max(...Object.keys(fields).map((name) => name.length));
  const plain = Object.entries(fields)
    .filter(([, field]) => field !== null)
    .map(
      ([name, field]) => `${name.padEnd(width)}  ${isJson(field) ? JSON.stringify(field) : String(field)}`,
    );
  const history = (Array.isArray(attempts) ? attempts.filter(isJson) : []).map(
    ({ attempt, by, failed_at, error_code, error_message }) =>
      `  attempt ${attempt} (${by}) ${failed_at} ${error_code ?? ''} ${short(error_message, 200)}`,
  );
  const done = (Array.isArray(actions) ? actions.filter(isJson) : []).map(
    ({ at, verb, user_id }) => `  ${at} ${verb} by ${user_id ?? 'the service'}`,
  );
  const said = (Array.isArray(notes) ? notes.filter(isJson) : []).map(({ at, text }) => `  ${at} ${text}`);
  const whole = [
    ...plain,
    ...section('attempts', history),
    ...section('actions', done),
    ...section('notes', said),
    ...section(
      'headers',
      isJson(headers)
        ? Object.entries(headers)
            .filter(([name]) => !addedHeader.test(name))
            .map(([name, it]) => `  ${name}: ${textOfHeader(it)}`)
        : [],
    ),
    ...section('value', [
      value === null ? `  not decoded; ${base64Size(raw)} in raw (--json)` : JSON.stringify(value, null, 2),
    ]),
    ...section('stack', typeof error_stack === 'string' ? [error_stack] : []),
    '',
  ].join('\n');
  return printable(whole);
}

const section = (name: string, lines: readonly string[]) =>
  lines.length === 0 ? [] : ['', `${name}:`, ...lines];
const textOfHeader = (it: unknown) => (typeof it === 'string' ? it : JSON.stringify(it));
const base64Size = (raw: unknown) =>
  typeof raw === 'string' ? `${Buffer.from(raw, 'base64').length} bytes` : 'nothing';
