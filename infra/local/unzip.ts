/** Reads zip files (a Python wheel is one) without another program: stored and deflated entries, no zip64. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { inflateRawSync } from 'node:zlib';

const endOfDirectory = 0x06054b50;
const directoryEntry = 0x02014b50;

/**
 * Unpacks the entries whose names `wanted` accepts into `folder`, with the permissions of the archive.
 *
 * Throws for a damaged archive and for names that would leave the folder.
 */
export function unzip(file: string, folder: string, wanted: (name: string) => boolean = () => true): number {
  const zip = readFileSync(file);
  const end = zip.lastIndexOf(Buffer.from([0x50, 0x4b, 0x05, 0x06]));
  if (end < 0 || zip.readUInt32LE(end) !== endOfDirectory) throw new Error(`${file} is no zip file`);
  const count = zip.readUInt16LE(end + 10);
  let at = zip.readUInt32LE(end + 16);
  let written = 0;
  for (let index = 0; index < count; index++) {
    if (zip.readUInt32LE(at) !== directoryEntry) throw new Error(`${file}: entry ${index} is damaged`);
    const nameLength = zip.readUInt16LE(at + 28);
    const name = zip.toString('utf8', at + 46, at + 46 + nameLength);
    if (!name.endsWith('/') && wanted(name)) {
      const target = path.resolve(folder, name);
      if (!target.startsWith(path.resolve(folder) + path.sep))
        throw new Error(`${file}: ${name} leaves its folder`);
      mkdirSync(path.dirname(target), { recursive: true });
      writeFileSync(target, contentOf(zip, at, file), { mode: modeOf(zip, at) });
      written++;
    }
    at += 46 + nameLength + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32);
  }
  return written;
}

function contentOf(zip: Buffer, at: number, file: string): Buffer {
  const method = zip.readUInt16LE(at + 10);
  const packedBytes = zip.readUInt32LE(at + 20);
  const local = zip.readUInt32LE(at + 42);
  const start = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
  const packed = zip.subarray(start, start + packedBytes);
  if (method === 0) return packed;
  if (method === 8) return inflateRawSync(packed);
  throw new Error(`${file}: compression method ${method} is not known`);
}

function modeOf(zip: Buffer, at: number): number {
  const mode = (zip.readUInt32LE(at + 38) >>> 16) & 0o777;
  // Wheels of some builders carry no permissions at all; what is in a bin folder is made executable by its user.
  return mode === 0 ? 0o644 : mode;
}
