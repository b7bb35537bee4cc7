/** Which letters are bound to a parked record: those of which the store knows what they say of it. */
import type { Pool } from '@ragline/postgres/pool';
import type { NewLetter } from './domain.ts';

/**
 * Whoever may write to a group's topic can name any record. A letter whose record is not, and was not, that group's, at
 * that place and under that id, is kept all the same, under the original's address: what is done with it then touches
 * no line. Of deaths no more are believed than the record has.
 *
 * @returns the letters in their order. Throws when Postgres is away.
 */
export async function bound(pool: Pool, letters: readonly NewLetter[]): Promise<NewLetter[]> {
  const parked = letters.filter(({ parked_record }) => parked_record !== null);
  if (parked.length === 0) return [...letters];
  const { rows } = await pool.query<{ is_known: boolean; deaths: number | null }>({
    name: 'dead_letters_known_parked',
    text: 'SELECT is_known, deaths FROM streams.known_parked($1, $2, $3, $4, $5, $6)',
    values: [
      parked.map(({ parked_record }) => parked_record),
      parked.map(({ group_id }) => group_id),
      parked.map(({ topic }) => topic),
      parked.map(({ partition }) => partition),
      parked.map(({ offset }) => offset),
      parked.map(({ inbox_id }) => inbox_id),
    ],
  });
  const answers = new Map(parked.map((letter, at) => [letter, rows[at]]));
  return letters.map((letter) => {
    if (letter.parked_record === null) return letter;
    const answer = answers.get(letter);
    if (answer?.is_known !== true) return { ...letter, parked_record: null, deaths: 1 };
    return { ...letter, deaths: Math.min(letter.deaths, answer.deaths ?? letter.deaths) };
  });
}
