/** Signing keys in Postgres, where all instances agree on them. */
import { inTransaction, type Pool } from '@ragline/postgres/pool';
import type { JWK } from 'jose';
import type { KeyPlan } from './key-plan.ts';

export type StoredKey = { kid: string; public_jwk: JWK; private_sealed: Buffer; signs_from: Date };
export type NewKey = Omit<StoredKey, 'signs_from'>;

export type KeyStore = ReturnType<typeof keyStore>;

// Any constant: it only has to differ from the locks of others in this database.
const planningLock = 7_261_900_501n;

export function keyStore(pool: Pool) {
  return {
    /** The keys that can sign or verify, and what the time is for all instances. */
    async read(): Promise<{ keys: StoredKey[]; now: Date }> {
      const { rows } = await pool.query<StoredKey & { now: Date }>(
        `SELECT kid, public_jwk, private_sealed, signs_from, clock_timestamp() AS now
         FROM identity.signing_key ORDER BY signs_from, kid`,
      );
      return { keys: rows, now: rows[0]?.now ?? new Date() };
    },

    /** Carries out what `plan` asks for, one instance at a time, so that two do not both make the next key. */
    async carryOut(
      plan: (keys: StoredKey[], now: Date) => KeyPlan,
      make: () => Promise<NewKey>,
    ): Promise<void> {
      await inTransaction(pool, async (client) => {
        await client.query('SELECT pg_advisory_xact_lock($1)', [planningLock]);
        const { rows } = await client.query<StoredKey>('SELECT * FROM identity.signing_key');
        const { rows: clock } = await client.query<{ now: Date }>('SELECT clock_timestamp() AS now');
        const { make: times, remove } = plan(rows, clock[0]?.now ?? new Date());
        for (const signsFrom of times) {
          const { kid, public_jwk, private_sealed } = await make();
          await client.query(
            'INSERT INTO identity.signing_key (kid, public_jwk, private_sealed, signs_from) VALUES ($1, $2, $3, $4)',
            [kid, public_jwk, private_sealed, signsFrom],
          );
        }
        if (remove.length > 0) {
          await client.query('DELETE FROM identity.signing_key WHERE kid = ANY ($1)', [remove]);
        }
      });
    },

    /**
     * Lets the published next key sign from now on. With `withdraw` the keys before it go at once, and every
     * token they signed is refused as soon as the verifiers have read the key set again.
     *
     * Returns the kid that signs now; undefined when no next key was there.
     */
    async rotateNow({ withdraw }: { withdraw: boolean }): Promise<string | undefined> {
      const { rows } = await pool.query<{ kid: string | null }>(
        'SELECT identity.rotate_signing_key($1) AS kid',
        [withdraw],
      );
      return rows[0]?.kid ?? undefined;
    },
  };
}
