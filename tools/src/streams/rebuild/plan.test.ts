import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { describe, it } from 'mocha';
import { createIdSet } from '../id-set.ts';
import type { RowHead } from '../outbox-rows.ts';
import { namesOf, timeOf } from './command.ts';
import { createJudge, type Present } from './plan.ts';
import { isNew } from './positions.ts';

describe('what is missing on a topic', () => {
  it('is every row of an empty topic', () => {
    const rows = ['a', 'b', 'a'].map(aRow);
    const { judge, counts } = createJudge([aTopic([])], onOne);
    assert.deepEqual(
      rows.map((row) => judge(row)),
      ['missing', 'missing', 'missing'],
    );
    assert.deepEqual(counts.get('t'), { there: 0, missing: 3, expired: 0, late: 0 });
  });

  it('is what comes behind what is there, key by key', () => {
    const rows = ['a', 'b', 'a', 'b'].map(aRow);
    const { judge, late } = createJudge([aTopic(rows.slice(0, 2))], onOne);
    assert.deepEqual(
      rows.map((row) => judge(row)),
      ['there', 'there', 'missing', 'missing'],
    );
    assert.deepEqual(late, []);
  });

  it('is late when something later of its key is there, and only then', () => {
    const [first, other, last] = ['a', 'b', 'a'].map(aRow);
    assert.ok(first && other && last);
    const { judge, late, counts } = createJudge([aTopic([last])], onOne);
    for (const row of [first, other, last]) judge(row);
    assert.deepEqual(late, [{ topic: 't', key: 'a', event_id: first.id }]);
    assert.equal(counts.get('t')?.late, 1);
  });

  it('is not late where transactions of a key do not wait for each other, if both were open at once', () => {
    for (const [apartMs, lateCount] of [
      [3_000, 0],
      [3_600_000, 1],
    ] as const) {
      const now = Date.now();
      const rows = [now - apartMs, now].map((at) => ({ ...aRow('a'), created_at: new Date(at) }));
      const { judge, late } = createJudge([{ ...aTopic(rows.slice(1)), isConcurrent: true }], onOne);
      for (const row of rows) judge(row);
      assert.equal(late.length, lateCount);
    }
  });

  it('is not what retention removed from before all that is there', () => {
    const rows = ['a', 'a', 'a'].map(aRow);
    const cut = {
      ...aTopic(rows.slice(1, 2)),
      partitions: [{ hasRecords: true, isCut: true, firstAt: Date.now() + 1 }],
    };
    const { judge } = createJudge([cut], onOne);
    assert.deepEqual(
      rows.map((row) => judge(row)),
      ['expired', 'there', 'missing'],
    );
  });

  it('is what was written after the first that retention left, though none of the rows is there', () => {
    const [old, young] = ['a', 'a'].map(aRow);
    assert.ok(old && young);
    const firstAt = young.created_at.getTime();
    const cut = { ...aTopic([aRow('a')]), partitions: [{ hasRecords: true, isCut: true, firstAt }] };
    const { judge } = createJudge([cut], onOne);
    assert.equal(judge({ ...old, created_at: new Date(firstAt - 1) }), 'expired');
    assert.equal(judge(young), 'missing');
  });
});

describe('a topic', () => {
  it('is new when it is empty, or when what is remembered lies behind its ends', () => {
    const remembered = new Map([[1, 50_000]]);
    assert.ok(isNew(new Map(), [0, 0]));
    assert.ok(isNew(remembered, [3, 3_000]));
    assert.ok(isNew(remembered, [99_999, 50_000]));
    assert.ok(!isNew(remembered, [0, 50_001]));
    assert.ok(!isNew(new Map(), [0, 1]));
  });
});

describe('a set of ids', () => {
  it('has what was added, whatever it looks like, and nothing else', () => {
    const ids = Array.from({ length: 5_000 }, () => randomUUIDv7());
    const odd = ['', 'no uuid', '00000000-0000-0000-0000-000000000000', ids[0]?.toUpperCase() ?? ''];
    const set = createIdSet(4);
    for (const id of [...ids, ...odd, ...ids.slice(0, 9)]) set.add(id);
    assert.equal(set.size(), ids.length + odd.length);
    assert.ok([...ids, ...odd].every((id) => set.has(id)));
    assert.ok(!set.has(randomUUIDv7()) && !set.has('another'));
  });
});

describe('ragline streams rebuild', () => {
  it('names the topics that can be written again when it is asked for one that cannot', () => {
    assert.deepEqual(namesOf(undefined, ['a', 'b']), ['a', 'b']);
    assert.deepEqual(namesOf('b', ['a', 'b']), ['b']);
    assert.throws(() => namesOf('chat.events.v1', ['a', 'b']), /no outbox.*a, b/);
  });

  it('takes times of the past', () => {
    assert.equal(timeOf('2026-01-31T12:00Z')?.toISOString(), '2026-01-31T12:00:00.000Z');
    for (const text of ['yesterday', '5', '2999-01-01'])
      assert.throws(() => timeOf(text), /no time in the past/);
  });
});

const onOne = () => 0;

function aRow(key: string): RowHead {
  return { id: randomUUIDv7(), topic: 't', key, created_at: new Date() };
}

function aTopic(there: readonly RowHead[]): Present {
  const ids = createIdSet();
  for (const { id } of there) ids.add(id);
  return {
    topic: 't',
    ids,
    isConcurrent: false,
    partitions: [{ hasRecords: there.length > 0, isCut: false }],
  };
}
