/** The checker: knows what was produced, what people decided, and nothing of how it is done. I1 to I5 and I7. */
import type { Row, Tables } from './tables.ts';

export type Fact = {
  p: number;
  place: number;
  /** latin1; null: a record without a place in any order. */
  key: string | null;
  event_id: string;
  inbox_id: string;
  /** As it was produced it never fails. */
  isGood: boolean;
  state: 'open' | 'effect' | 'discarded';
  /** Order was given up for it: released, restored, skipped, or it never had a key. */
  unordered: boolean;
  /** No attempt before it. */
  notBefore: number;
};

export type Effect = { p: number; place: number; event_id: string; claimed: readonly string[] };

export type Truth = ReturnType<typeof createTruth>;

/** @param facts of each partition, by offset */
export function createTruth(facts: Fact[][], tables: Tables, violate: (what: string) => never) {
  const factOf = (p: number, place: number): Fact =>
    facts[p]?.[place] ?? violate(`there is no record ${p}/${place}`);
  const letters = new Map<number, number>();

  function checkOrder(fact: Fact): void {
    for (const other of facts[fact.p] ?? []) {
      if (other.key !== fact.key || other.unordered) continue;
      if (other.place < fact.place && other.state === 'open')
        violate(`order: ${fact.event_id} before ${other.event_id}`);
      if (other.place > fact.place && other.state === 'effect')
        violate(`order: ${fact.event_id} after ${other.event_id}`);
    }
  }

  return {
    factOf,
    all: (): Fact[] => facts.flat(),
    unresolved: (): string[] =>
      facts.flat().flatMap(({ state, p, place }) => (state === 'open' ? `${p}/${place}` : [])),
    /** An attempt begins. */
    attempted(p: number, place: number, event_id: string, now: number): void {
      const fact = factOf(p, place);
      if (fact.event_id === event_id && now < fact.notBefore) violate(`early: ${event_id} at ${now}`);
    },
    /** An effect is committed. */
    effect({ p, place, event_id, claimed }: Effect): void {
      const fact = factOf(p, place);
      if (fact.state === 'effect') violate(`doubled: ${event_id} of ${p}/${place}`);
      if (fact.state === 'discarded') violate(`effect after discard: ${event_id}`);
      if (fact.event_id !== event_id) violate(`${event_id} took effect after the edit to ${fact.event_id}`);
      if (!claimed.includes(fact.inbox_id))
        violate(`${event_id} took effect under ${claimed.join()}, not ${fact.inbox_id}`);
      if (!fact.unordered) checkOrder(fact);
      fact.state = 'effect';
    },
    discarded(p: number, place: number): void {
      const fact = factOf(p, place);
      if (fact.state === 'effect') violate(`discarded after its effect: ${fact.event_id}`);
      fact.state = 'discarded';
    },
    /** Kafka takes a commit: all below are handled, decided about or kept. */
    committed(p: number, upTo: number): void {
      const kept = new Set(
        [...tables.records.values()].flatMap((row) =>
          row.p === p && tables.lines.has(row.line) ? row.place : [],
        ),
      );
      for (let place = 0; place < upTo; place += 1) {
        if (factOf(p, place).state === 'open' && !kept.has(place))
          violate(`lost: offset ${upTo} of ${p} is committed, ${place} is neither handled nor parked`);
      }
    },
    /** `<group>.dlq` holds a letter. */
    announced(recordId: number, deaths: number): void {
      letters.set(recordId, Math.max(letters.get(recordId) ?? 0, deaths));
    },
    letters: (): number[] => [...letters.keys()],
    isAnnounced: ({ id, deaths }: Row): boolean => (letters.get(id) ?? 0) >= deaths,
    /** The record is not to be tried before. */
    dueFrom(p: number, place: number, event_id: string, at: number): void {
      const fact = factOf(p, place);
      if (fact.event_id === event_id) fact.notBefore = at;
    },
  };
}
