/** One poll for all partitions that a process owns: what is asked in the same turn goes in one query. */
import type pg from 'pg';
import { Fenced, type Lease } from './store.ts';

type Found = { due: boolean; letters: boolean };
type Asking = { lease: Lease; resolve: (found: Found) => void; reject: (error: unknown) => void };

/** Resolves with what there is to do in the lease's partition; rejects with Fenced when the lease has been raised. */
export function createLook(pool: pg.Pool): (lease: Lease) => Promise<Found> {
  let asking: Asking[] = [];

  async function ask(): Promise<void> {
    const all = asking;
    asking = [];
    for (const [groupId, ofGroup] of Map.groupBy(all, ({ lease }) => lease.place.group_id)) {
      try {
        const places = ofGroup.map(({ lease }) => lease);
        const { rows } = await pool.query<Record<string, unknown>>({
          name: 'ragline_parking_look',
          text: 'SELECT topic, partition, epoch, held, due, unannounced FROM streams.look($1, $2, $3, $4)',
          values: [
            groupId,
            places.map(({ place }) => place.topic),
            places.map(({ place }) => place.partition),
            places.map(({ epoch }) => epoch),
          ],
        });
        const found = new Map(rows.map((row) => [`${row.topic}/${row.partition}/${row.epoch}`, row]));
        for (const { lease, resolve, reject } of ofGroup) {
          const { topic, partition } = lease.place;
          const row = found.get(`${topic}/${partition}/${lease.epoch}`);
          if (row?.held !== true)
            reject(new Fenced(`${topic}/${partition} has another owner than epoch ${lease.epoch}`));
          else resolve({ due: row.due === true, letters: row.unannounced === true });
        }
      } catch (error) {
        for (const { reject } of ofGroup) reject(error);
      }
    }
  }

  return (lease) =>
    new Promise((resolve, reject) => {
      asking.push({ lease, resolve, reject });
      if (asking.length === 1) setImmediate(() => void ask());
    });
}
