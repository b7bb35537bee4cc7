import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import {
  isQuiet,
  isTimeZone,
  nextChange,
  nextQuietEnd,
  type QuietHours,
  quietPieces,
} from './quiet-hours.ts';

const night: QuietHours = { from: '22:00', to: '07:00', time_zone: 'Europe/Berlin' };
const at = (time: string) => Date.parse(time);
const iso = (ms: number) => new Date(ms).toISOString().replace(':00.000Z', 'Z');

describe('quiet hours', () => {
  it('read the clocks of a zone once, however its name is written', () => {
    const made: unknown[] = [];
    const { DateTimeFormat } = Intl;
    Intl.DateTimeFormat = new Proxy(DateTimeFormat, {
      construct(target, args) {
        made.push(args);
        return Reflect.construct(target, args);
      },
    });
    try {
      for (const time_zone of ['Pacific/Tongatapu', 'pacific/tongatapu', 'PACIFIC/Tongatapu'])
        isQuiet({ ...night, time_zone }, at('2026-01-10T21:00:00Z'));
    } finally {
      Intl.DateTimeFormat = DateTimeFormat;
    }
    assert.equal(made.length, 1);
  });

  const rows: [string, QuietHours, string, boolean][] = [
    ['begin with their first minute', night, '2026-01-10T21:00:00Z', true],
    ['have not begun a millisecond before', night, '2026-01-10T20:59:59.999Z', false],
    ['go on over midnight', night, '2026-01-10T23:30:00Z', true],
    ['end with their last minute', night, '2026-01-11T06:00:00Z', false],
    ['last until then', night, '2026-01-11T05:59:59.999Z', true],
    ['are an hour earlier in UTC in summer', night, '2026-07-10T20:00:00Z', true],
    ['may lie within a day', { ...night, from: '12:00', to: '14:00' }, '2026-01-10T12:59:00Z', true],
    ['and not around it', { ...night, from: '12:00', to: '14:00' }, '2026-01-10T13:00:00Z', false],
    [
      'may begin at midnight',
      { ...night, from: '00:00', to: '06:00', time_zone: 'UTC' },
      '2026-01-10T00:00:00Z',
      true,
    ],
    [
      'may end at midnight',
      { ...night, from: '22:00', to: '00:00', time_zone: 'UTC' },
      '2026-01-10T00:00:00Z',
      false,
    ],
    [
      'know zones of a quarter of an hour',
      { ...night, time_zone: 'Asia/Kathmandu' },
      '2026-01-10T16:15:00Z',
      true,
    ],
    ['and the minute before', { ...night, time_zone: 'Asia/Kathmandu' }, '2026-01-10T16:14:59Z', false],
    [
      'fall back to UTC where a zone is no more',
      { ...night, time_zone: 'Mars/Base' },
      '2026-01-10T22:00:00Z',
      true,
    ],
  ];
  for (const [name, quiet, time, expected] of rows) {
    it(name, () => assert.equal(isQuiet(quiet, at(time)), expected));
  }

  const changes: [string, QuietHours, string, string][] = [
    ['the evening, by day', night, '2026-01-10T10:00:30Z', '2026-01-10T21:00Z'],
    ['the morning, by night', night, '2026-01-10T23:00:01Z', '2026-01-11T06:00Z'],
    ['the next one, at a change itself', night, '2026-01-10T21:00:00Z', '2026-01-11T06:00Z'],
    ['an hour later in UTC after the end of summer time', night, '2026-10-24T21:00:00Z', '2026-10-25T06:00Z'],
    ['an hour earlier after its beginning', night, '2026-03-28T22:00:00Z', '2026-03-29T05:00Z'],
    [
      'the same every day where clocks are never changed',
      { ...night, time_zone: 'Asia/Tokyo' },
      '2026-03-28T13:00:00Z',
      '2026-03-28T22:00Z',
    ],
    [
      'the first minute after the one that is skipped',
      { ...night, to: '02:30' },
      '2026-03-28T22:00:00Z',
      '2026-03-29T01:00Z',
    ],
    [
      'half an hour of summer time, on Lord Howe',
      { ...night, time_zone: 'Australia/Lord_Howe' },
      '2026-04-04T12:00:00Z',
      '2026-04-04T20:30Z',
    ],
  ];
  for (const [name, quiet, from, expected] of changes) {
    it(`change next at ${name}`, () => assert.equal(iso(nextChange(quiet, at(from))), expected));
  }

  it('come twice where the clock shows their end twice', () => {
    const early = { ...night, from: '01:00', to: '02:30' };
    const pieces = quietPieces(early, at('2026-10-24T22:00:00Z'), at('2026-10-25T06:00:00Z'));
    assert.deepEqual(
      pieces.map((piece) => piece.map(iso)),
      [
        ['2026-10-24T23:00Z', '2026-10-25T00:30Z'],
        ['2026-10-25T01:00Z', '2026-10-25T01:30Z'],
      ],
    );
  });

  it('are left out on the day on which the clock skips all of them', () => {
    const skipped = { ...night, from: '02:10', to: '02:40' };
    assert.equal(iso(nextChange(skipped, at('2026-03-28T12:00:00Z'))), '2026-03-30T00:10Z');
  });

  it('end next in the morning, whether it is night or day', () => {
    assert.equal(iso(nextQuietEnd(night, at('2026-01-10T23:00:00Z'))), '2026-01-11T06:00Z');
    assert.equal(iso(nextQuietEnd(night, at('2026-01-11T06:00:00Z'))), '2026-01-12T06:00Z');
  });

  it('agree with the clock at every minute of the days on which it is changed', () => {
    for (const day of ['2026-03-28T12:00:00Z', '2026-10-24T12:00:00Z']) {
      let change = nextChange(night, at(day));
      let before = isQuiet(night, at(day));
      for (let ms = at(day); ms < at(day) + 2 * 86_400_000; ms += 60_000) {
        const now = isQuiet(night, ms);
        assert.equal(now !== before, ms === change, iso(ms));
        if (ms === change) change = nextChange(night, ms);
        before = now;
      }
    }
  });

  it('are of zones that have a name', () => {
    for (const name of ['Europe/Berlin', 'UTC', 'America/Argentina/Buenos_Aires', 'Etc/GMT+5'])
      assert.ok(isTimeZone(name));
    for (const name of ['', '+02:00', 'Mars/Base', 'Europe/Berlin ', 'x'.repeat(200)])
      assert.ok(!isTimeZone(name), name);
  });
});
