/** Passwords: argon2id, in the PHC string format, computed on Node's thread pool. */
import { argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { normalPassword } from './domain.ts';

const derive = promisify(argon2);

export type Cost = { memoryKib: number; passes: number; lanes: number };

/** OWASP Password Storage Cheat Sheet, argon2id: m=19 MiB, t=2, p=1. About 60 ms of one core. */
export const recommendedCost: Cost = { memoryKib: 19_456, passes: 2, lanes: 1 };

const tagBytes = 32;
// Bounds for what a stored hash may ask of us.
const memoryKibMax = 1_048_576;
const passesMax = 64;
const lanesMax = 16;

export async function hashPassword(password: string, cost: Cost = recommendedCost): Promise<string> {
  const salt = randomBytes(16);
  const tag = await tagOf(password, salt, cost, tagBytes);
  const { memoryKib, passes, lanes } = cost;
  return `$argon2id$v=19$m=${memoryKib},t=${passes},p=${lanes}$${base64(salt)}$${base64(tag)}`;
}

export type Verdict = {
  matches: boolean;
  /** It matches, but was made at another cost: hash it again. */
  outdated: boolean;
};

/** Compares in constant time. Throws TypeError for a hash that is none of ours. */
export async function verifyPassword(password: string, encoded: string): Promise<Verdict> {
  const { salt, tag, cost } = parseHash(encoded);
  const matches = timingSafeEqual(await tagOf(password, salt, cost, tag.length), tag);
  const { memoryKib, passes, lanes } = recommendedCost;
  const isCurrent = cost.memoryKib === memoryKib && cost.passes === passes && cost.lanes === lanes;
  return { matches, outdated: matches && !isCurrent };
}

/** Takes as long as verifying, for a user that is not there, and never matches. */
export async function verifyNobody(password: string): Promise<Verdict> {
  await tagOf(password, nobodysSalt, recommendedCost, tagBytes);
  return { matches: false, outdated: false };
}
const nobodysSalt = randomBytes(16);

const tagOf = (password: string, salt: Buffer, cost: Cost, length: number): Promise<Buffer> =>
  derive('argon2id', {
    message: Buffer.from(normalPassword(password), 'utf8'),
    nonce: salt,
    memory: cost.memoryKib,
    passes: cost.passes,
    parallelism: cost.lanes,
    tagLength: length,
  });

const phc =
  /^\$argon2id\$v=19\$m=(\d{1,8}),t=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/;

function parseHash(encoded: string): { salt: Buffer; tag: Buffer; cost: Cost } {
  const [, memory, passes, lanes, salt = '', tag = ''] = phc.exec(encoded) ?? [];
  const cost = { memoryKib: Number(memory), passes: Number(passes), lanes: Number(lanes) };
  const isBounded = cost.memoryKib <= memoryKibMax && cost.passes <= passesMax && cost.lanes <= lanesMax;
  // Not shown: even a broken hash is a secret.
  if (salt === '' || !isBounded) throw new TypeError('This is no password hash of ours');
  return { salt: Buffer.from(salt, 'base64'), tag: Buffer.from(tag, 'base64'), cost };
}

const base64 = (bytes: Buffer): string => bytes.toString('base64').replaceAll('=', '');
