import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { unzip } from './unzip.ts';

type Entry = { name: string; content: string; deflated?: boolean; mode?: number };

describe('unpacking', () => {
  let folder = '';
  const archive = () => path.join(folder, 'a.zip');
  const at = (name: string) => path.join(folder, 'out', name);
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'ragline-unzip-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('writes stored and deflated entries with their permissions', () => {
    writeFileSync(
      archive(),
      zipOf([
        { name: 'bin/run', content: 'go', mode: 0o755 },
        { name: 'b', content: 'long '.repeat(99), deflated: true },
      ]),
    );
    assert.equal(unzip(archive(), path.join(folder, 'out')), 2);
    assert.equal(statSync(at('bin/run')).mode & 0o777, 0o755);
    assert.equal(readFileSync(at('b'), 'utf8'), 'long '.repeat(99));
  });

  it('leaves out what is not wanted', () => {
    writeFileSync(
      archive(),
      zipOf([
        { name: 'a.py', content: '' },
        { name: 'b', content: '' },
      ]),
    );
    assert.equal(
      unzip(archive(), path.join(folder, 'out'), (name) => !name.endsWith('.py')),
      1,
    );
  });

  it('refuses an entry that would leave its folder', () => {
    writeFileSync(archive(), zipOf([{ name: '../evil', content: 'x' }]));
    assert.throws(() => unzip(archive(), path.join(folder, 'out')), /leaves its folder/);
  });

  it('refuses what is no archive, and one that was cut off', () => {
    writeFileSync(archive(), 'no zip');
    assert.throws(() => unzip(archive(), folder), /no zip/);
    writeFileSync(archive(), zipOf([{ name: 'a', content: 'x'.repeat(100) }]).subarray(0, 60));
    assert.throws(() => unzip(archive(), folder));
  });
});

/** A zip file as its specification has it, less what nobody reads here. */
function zipOf(entries: Entry[]): Buffer {
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, content, deflated = false, mode = 0o644 } of entries) {
    const packed = deflated ? deflateRawSync(content) : Buffer.from(content);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(name.length, 26);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(deflated ? 8 : 0, 10);
    central.writeUInt32LE(packed.length, 20);
    central.writeUInt32LE(content.length, 24);
    central.writeUInt16LE(name.length, 28);
    central.writeUInt32LE((0o100000 | mode) * 0x10000, 38);
    central.writeUInt32LE(offset, 42);
    locals.push(local, Buffer.from(name), packed);
    directory.push(central, Buffer.from(name));
    offset += local.length + name.length + packed.length;
  }
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, ...directory, end]);
}
