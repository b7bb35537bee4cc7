/**
 * Quiet hours: from one time to another by the clocks on the wall of a time zone. What a clock shows twice, when summer
 * time ends, is quiet twice; what it skips is not there. Instants are milliseconds since 1970.
 */

export type QuietHours = {
  /** `22:00`; may be later than `to`: then midnight lies between. */
  from: string;
  to: string;
  /** IANA name. */
  time_zone: string;
};

const minuteMs = 60_000;
const dayMinutes = 1_440;
const daysMax = 3;
const zonesMax = 1_000;

/** Whether clocks can be read there: an IANA name, in any case of letters, and no bare offset. */
export function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z][\w+\-/]{0,63}$/.test(name)) return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

export function isQuiet(quiet: QuietHours, at: number): boolean {
  const minute = wallMinute(quiet.time_zone, at);
  const [from, to] = [minuteOf(quiet.from), minuteOf(quiet.to)];
  return from < to ? minute >= from && minute < to : minute >= from || minute < to;
}

/** The first instant after `at` at which quiet begins, or, when it is quiet at `at`, ends. */
export function nextChange(quiet: QuietHours, at: number): number {
  const zone = quiet.time_zone;
  const before = isQuiet(quiet, at);
  const edge = minuteOf(before ? quiet.to : quiet.from);
  const begun = Math.floor(at / minuteMs) * minuteMs;
  const minutes = (edge - wallMinute(zone, at) + dayMinutes) % dayMinutes || dayMinutes;
  const usual = begun + minutes * minuteMs;
  if (offsetMs(zone, at) === offsetMs(zone, usual)) return usual;
  // The clocks are put forward or back on the way, on two days of a year: look at each minute.
  for (let step = 1; step <= daysMax * dayMinutes; step += 1) {
    const then = begun + step * minuteMs;
    if (isQuiet(quiet, then) !== before) return then;
  }
  return usual;
}

/** The first end of quiet hours after `at`. */
export function nextQuietEnd(quiet: QuietHours, at: number): number {
  const change = nextChange(quiet, at);
  return isQuiet(quiet, at) ? change : nextChange(quiet, change);
}

/** What of [from, to) is quiet, as pieces [start, end). */
export function quietPieces(quiet: QuietHours, from: number, to: number): [start: number, end: number][] {
  const pieces: [number, number][] = [];
  for (let at = from; at < to; ) {
    const change = nextChange(quiet, at);
    if (isQuiet(quiet, at)) pieces.push([at, Math.min(change, to)]);
    at = change;
  }
  return pieces;
}

function minuteOf(time: string): number {
  const [hours, minutes] = time.split(':');
  return Number(hours) * 60 + Number(minutes);
}

function wallMinute(zone: string, at: number): number {
  const minutes = Math.floor((at + offsetMs(zone, at)) / minuteMs);
  return ((minutes % dayMinutes) + dayMinutes) % dayMinutes;
}

type Zone = { format: Intl.DateTimeFormat; quarter: number; offset: number };
const zones = new Map<string, Zone>();

/** Clocks are put forward and back on a quarter of an hour: within one the offset is the same. */
function offsetMs(name: string, at: number): number {
  const zone = zoneOf(name);
  const quarter = Math.floor(at / (15 * minuteMs));
  if (zone.quarter !== quarter) {
    const start = quarter * 15 * minuteMs;
    zone.quarter = quarter;
    zone.offset = wallTime(zone.format, start) - start;
  }
  return zone.offset;
}

function zoneOf(name: string): Zone {
  // Names are good in any case of letters: each would be a formatter of its own.
  const key = name.toLowerCase();
  const known = zones.get(key);
  if (known !== undefined) return known;
  if (zones.size >= zonesMax) zones.clear();
  const zone = { format: formatFor(name), quarter: Number.NaN, offset: 0 };
  zones.set(key, zone);
  return zone;
}

function formatFor(name: string): Intl.DateTimeFormat {
  const numeric = 'numeric' as const;
  const fields = { year: numeric, month: numeric, day: numeric, hour: numeric, minute: numeric };
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name, hourCycle: 'h23', ...fields });
  } catch {
    // It was checked when it was put; another version of the tables may have dropped it.
    return new Intl.DateTimeFormat('en', { timeZone: 'UTC', hourCycle: 'h23', ...fields });
  }
}

/** What the clock shows, as if it were UTC. */
function wallTime(format: Intl.DateTimeFormat, at: number): number {
  const shown: Partial<Record<string, number>> = {};
  for (const { type, value } of format.formatToParts(at)) shown[type] = Number(value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0 } = shown;
  return Date.UTC(year, month - 1, day, hour, minute);
}
