/** The passwords and keys of one data folder: made once, kept in secrets.json, which only its owner can read. */
import { randomBytes, randomInt } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const passwordNames = [
  'postgres',
  'postgres_identity',
  'postgres_orders',
  'postgres_notifications',
  'postgres_dead_letters',
  'postgres_chat',
  'postgres_cdc',
  'postgres_registry',
  'kafka',
  'kafka_connect',
  'kafka_identity',
  'kafka_orders',
  'kafka_notifications',
  'kafka_dead_letters',
  'kafka_chat',
  'registry',
  'connect',
  'valkey',
  'sentinel',
  'key_encryption',
  'cursor',
  'quote',
  'delegation',
  'webhook',
] as const;

export type Secrets = Record<(typeof passwordNames)[number] | 'demo', string>;

/** Hexadecimal: such a password needs no quoting in a URL, a JAAS file or a properties file. */
const newPassword = () => randomBytes(24).toString('hex');

const words =
  'acorn amber apple birch cedar cherry clover coral fern hazel indigo juniper lemon linden maple mint oak olive pepper pine poppy quince rowan saffron sage thyme tulip violet walnut willow'.split(
    ' ',
  );

/** For people to type: two words and a number, such as tulip-47-oak. */
export function newDemoPassword(random: (below: number) => number = randomInt): string {
  const word = () => words[random(words.length)] ?? 'oak';
  return `${word()}-${10 + random(90)}-${word()}`;
}

/** Reads the folder's secrets and makes those that are missing. */
export function readSecrets(dataDir: string, demoPassword?: string): Secrets {
  const file = path.join(dataDir, 'secrets.json');
  const known: unknown = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
  const kept = (name: string): string | undefined => {
    const value: unknown = typeof known === 'object' && known !== null ? Reflect.get(known, name) : undefined;
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const passwords = Object.fromEntries(passwordNames.map((name) => [name, kept(name) ?? newPassword()]));
  const all = { ...passwords, demo: demoPassword ?? kept('demo') ?? newDemoPassword() };
  if (!isComplete(all)) throw new Error('secrets are incomplete');
  if (JSON.stringify(all) !== JSON.stringify(known))
    writePrivately(file, `${JSON.stringify(all, null, 2)}\n`);
  return all;
}

const isComplete = (all: Record<string, string>): all is Secrets =>
  [...passwordNames, 'demo'].every((name) => typeof all[name] === 'string');

/** Replaces a file as a whole, so that a start that is killed leaves the old one or the new one; readable by its owner only. */
export function writePrivately(file: string, content: string): void {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  const next = `${file}.${process.pid}.tmp`;
  writeFileSync(next, content, { mode: 0o600 });
  renameSync(next, file);
}
