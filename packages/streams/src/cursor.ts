/**
 * Cursors: a place in one or several topics, sealed, the same on every instance.
 *
 *   plain   version and key id (1), then for each topic: number of partitions (1), epoch (4), n × next offset (5)
 *   sealed  version and key id (1), tag (12), encrypted rest; base64url. 12 partitions: 104 characters, always
 *
 * SIV: the tag is HMAC-SHA256 of the plain bytes, and the nonce of AES-CTR. It needs no nonce of its own, and the
 * same place gives the same text on every instance. Sealed and not merely signed, since a readable vector would
 * tell every tenant the traffic of the whole platform.
 */
import {
  type Cipheriv,
  createCipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  timingSafeEqual,
} from 'node:crypto';

/** A place in one topic: for each partition the next offset to read. */
export type Position = { epoch: number; next: readonly number[] };

export type CursorSealer = {
  /** Throws RangeError for what cannot be a position. Length depends on the numbers of partitions alone. */
  seal(positions: readonly Position[]): string;
  /** The positions, or undefined for a text that no holder of the keys has sealed. Never throws. */
  open(text: string): Position[] | undefined;
};

type Key = { head: number; mac: KeyObject; blocks: Cipheriv };

const version = 1;
const tagBytes = 12;
const blockBytes = 16;
const offsetMax = 2 ** 40 - 1;
const secretCharsMin = 16;

/**
 * @param keys the setting CURSOR_KEYS: `id:secret,…`, ids 0..15, secrets of at least 16 characters. The first one
 *   seals, all open: to rotate, put a new key in front on every instance, and drop the old one when its cursors
 *   are no longer wanted. Throws RangeError when it is malformed.
 */
export function createCursorSealer({ keys }: { keys: string }): CursorSealer {
  const byHead = new Map<number, Key>();
  for (const entry of keys.split(',')) {
    const key = keyFrom(entry.trim());
    if (byHead.has(key.head)) throw new RangeError('CURSOR_KEYS: an id occurs twice');
    byHead.set(key.head, key);
  }
  const [sealing] = byHead.values();
  if (sealing === undefined) throw new RangeError('CURSOR_KEYS: no key');

  return {
    seal(positions) {
      const plain = pack(sealing.head, positions);
      const sealed = Buffer.allocUnsafe(plain.length + tagBytes);
      sealed[0] = sealing.head;
      const tag = tagOf(sealing, plain);
      tag.copy(sealed, 1);
      xorStream(sealing, tag, plain.subarray(1), sealed, 1 + tagBytes);
      return sealed.toString('base64url');
    },

    open(text) {
      if (!/^[A-Za-z0-9_-]+$/.test(text) || text.length > 4096) return undefined;
      const sealed = Buffer.from(text, 'base64url');
      // base64url has several spellings of the same bytes; ours is the only one that is taken.
      if (sealed.length <= 1 + tagBytes || sealed.toString('base64url') !== text) return undefined;
      const head = sealed[0] ?? 0;
      const key = byHead.get(head);
      if (key === undefined) return undefined;
      const tag = sealed.subarray(1, 1 + tagBytes);
      const plain = Buffer.allocUnsafe(sealed.length - tagBytes);
      plain[0] = head;
      xorStream(key, tag, sealed.subarray(1 + tagBytes), plain, 1);
      return timingSafeEqual(tagOf(key, plain), tag) ? unpack(plain) : undefined;
    },
  };
}

function keyFrom(entry: string): Key {
  const [, idText, secret] = /^(\d{1,2}):(.*)$/s.exec(entry) ?? [];
  const id = Number(idText);
  if (idText === undefined || id > 15)
    throw new RangeError('CURSOR_KEYS: each entry is id:secret, id 0 to 15');
  if (secret === undefined || secret.length < secretCharsMin) {
    throw new RangeError(`CURSOR_KEYS: the secret of key ${id} is shorter than ${secretCharsMin} characters`);
  }
  const derived = Buffer.from(hkdfSync('sha256', secret, '', `ragline cursor ${version}`, 48));
  // One long-lived ECB cipher makes the counter blocks: a cipher object per cursor costs several times the seal.
  const blocks = createCipheriv('aes-128-ecb', derived.subarray(32), null).setAutoPadding(false);
  // A KeyObject: with a plain Buffer the key is set up anew at each use, at five times the cost.
  return { head: (id << 4) | version, mac: createSecretKey(derived.subarray(0, 32)), blocks };
}

function tagOf(key: Key, plain: Buffer): Buffer {
  return createHmac('sha256', key.mac).update(plain).digest().subarray(0, tagBytes);
}

/** AES-CTR with the tag and a 32-bit block counter. */
function xorStream(key: Key, tag: Buffer, from: Buffer, to: Buffer, at: number): void {
  const count = Math.ceil(from.length / blockBytes);
  const counters = Buffer.allocUnsafe(count * blockBytes);
  for (let i = 0; i < count; i += 1) {
    tag.copy(counters, i * blockBytes);
    counters.writeUInt32BE(i, i * blockBytes + tagBytes);
  }
  const stream = key.blocks.update(counters);
  for (let i = 0; i < from.length; i += 1) to[at + i] = (from[i] ?? 0) ^ (stream[i] ?? 0);
}

function pack(head: number, positions: readonly Position[]): Buffer {
  let size = 1;
  for (const { next } of positions) size += 5 + next.length * 5;
  const plain = Buffer.allocUnsafe(size);
  plain[0] = head;
  let at = 1;
  for (const { epoch, next } of positions) {
    if (next.length === 0 || next.length > 255)
      throw new RangeError(`${next.length} partitions do not fit a cursor`);
    plain[at] = next.length;
    plain.writeUInt32BE(epoch, at + 1);
    at += 5;
    for (const offset of next) {
      if (!(offset >= 0 && offset <= offsetMax))
        throw new RangeError(`offset ${offset} does not fit a cursor`);
      // writeUIntBE checks its arguments at length; this is the hottest loop of a seal.
      const high = Math.floor(offset / 0x1_0000_0000);
      plain[at] = high;
      plain.writeUInt32BE(offset - high * 0x1_0000_0000, at + 1);
      at += 5;
    }
  }
  return plain;
}

function unpack(plain: Buffer): Position[] | undefined {
  const positions: Position[] = [];
  let at = 1;
  while (at < plain.length) {
    const n = plain[at] ?? 0;
    const end = at + 5 + n * 5;
    if (n === 0 || end > plain.length) return undefined;
    const next: number[] = [];
    for (let place = at + 5; place < end; place += 5) next.push(plain.readUIntBE(place, 5));
    positions.push({ epoch: plain.readUInt32BE(at + 1), next });
    at = end;
  }
  return positions;
}
