/** The rows of schema streams, and what the checker knows of the records that were produced. */
import type { Letter, ParkedError } from '../parking/store.ts';

export type Line = {
  id: number;
  p: number;
  /** latin1. */
  key: string | null;
  detached: boolean;
  attempt: number;
  notBefore: number;
  lastOffset: number;
  depth: number;
};

export type Row = Omit<Letter, 'recordId' | 'error'> & {
  id: number;
  line: number;
  p: number;
  place: number;
  announced: number;
  error: ParkedError | undefined;
};

export type Tables = ReturnType<typeof createTables>;

export function createTables(partitions: number) {
  const lease: number[] = Array(partitions).fill(0);
  const inbox = new Map<string, 'handled' | 'discarded' | 'edited' | 'released'>();
  const lines = new Map<number, Line>();
  const records = new Map<number, Row>();
  let ids = 0;

  const of = (line: Line): Row[] =>
    [...records.values()].filter((row) => row.line === line.id).sort((a, b) => a.place - b.place);

  function shorten(line: Line, last: boolean, headLeft: boolean, now: number): void {
    line.depth -= 1;
    if (last) lines.delete(line.id);
    else if (headLeft) Object.assign(line, { attempt: 0, notBefore: now });
  }

  return {
    lease,
    inbox,
    lines,
    records,
    nextId: () => ++ids,
    of,
    headOf: (line: Line): Row | undefined => of(line)[0],
    lineOf: (p: number, key: string | null): Line | undefined =>
      [...lines.values()].find((line) => line.p === p && line.key === key && !line.detached),
    addLine(line: Omit<Line, 'depth'>): Line {
      const added = { ...line, depth: 0 };
      lines.set(added.id, added);
      return added;
    },
    keep(line: Line, row: Omit<Row, 'id' | 'line' | 'announced'>): Row {
      const kept = { ...row, id: ++ids, line: line.id, announced: 0 };
      records.set(kept.id, kept);
      line.depth += 1;
      line.lastOffset = Math.max(line.lastOffset, row.place);
      return kept;
    },
    /** A record leaves its line; an empty line goes with it. */
    leave(line: Line, row: Row, last: boolean, now: number): void {
      const wasHead = of(line)[0]?.id === row.id;
      if (records.delete(row.id)) shorten(line, last, wasHead, now);
    },
    /** The head moves to a line of its own. */
    detach(line: Line, row: Row, last: boolean, now: number): Line {
      const { p, key, attempt } = line;
      const own = { id: ++ids, p, key, detached: true, attempt, notBefore: Number.POSITIVE_INFINITY };
      const alone = { ...own, lastOffset: row.place, depth: 1 };
      lines.set(alone.id, alone);
      row.line = alone.id;
      shorten(line, last, true, now);
      return alone;
    },
  };
}
