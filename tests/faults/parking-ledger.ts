/** What was produced and decided, and what the effects must therefore be. */
import type pg from 'pg';

export type Entry = {
  key: string;
  version: number;
  eventId: string;
  state: 'open' | 'discarded';
  /** Order was given up for it: released or restored. */
  unordered: boolean;
};

export type Verdict = {
  events: number;
  effects: number;
  lost: number;
  doubled: number;
  reordered: number;
  /** Effects of what was discarded, or of content that an edit had replaced. */
  forbidden: number;
  /** Examples of what is wrong. */
  examples: string[];
};

export type Effect = { key: string; version: number; event_id: string };

export function createLedger() {
  const entries = new Map<string, Entry>();
  const nameOf = (key: string, version: number) => `${key}/${version}`;

  return {
    produced(key: string, version: number, eventId: string): void {
      entries.set(nameOf(key, version), { key, version, eventId, state: 'open', unordered: false });
    },
    /** By the present id of its content. */
    entryOf: (eventId: string): Entry | undefined =>
      [...entries.values()].find((it) => it.eventId === eventId),
    size: (): number => entries.size,
    owed: (): number => [...entries.values()].filter(({ state }) => state === 'open').length,
    /** @param effects in the order in which they were made */
    judge(effects: readonly Effect[]): Verdict {
      const verdict = {
        events: entries.size,
        effects: effects.length,
        lost: 0,
        doubled: 0,
        reordered: 0,
        forbidden: 0,
      };
      const examples: string[] = [];
      const count = (what: 'lost' | 'doubled' | 'reordered' | 'forbidden', name: string) => {
        verdict[what] += 1;
        if (examples.length < 10) examples.push(`${what} ${name}`);
      };
      const seen = new Set<string>();
      const last = new Map<string, number>();
      for (const { key, version, event_id } of effects) {
        const name = nameOf(key, version);
        const entry = entries.get(name);
        if (seen.has(name)) count('doubled', name);
        seen.add(name);
        if (entry === undefined || entry.state === 'discarded' || entry.eventId !== event_id)
          count('forbidden', name);
        if (entry === undefined || entry.unordered) continue;
        if (version < (last.get(key) ?? 0)) count('reordered', `${name} after ${last.get(key)}`);
        last.set(key, Math.max(version, last.get(key) ?? 0));
      }
      for (const [name, { state }] of entries) if (state === 'open' && !seen.has(name)) count('lost', name);
      return { ...verdict, examples };
    },
  };
}

export type Ledger = ReturnType<typeof createLedger>;

export async function effectsIn(pool: pg.Pool): Promise<Effect[]> {
  const { rows } = await pool.query<Effect>('SELECT key, version, event_id FROM faults.effect ORDER BY id');
  return rows;
}
