import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { poolOf, scratchDatabase } from '@ragline/postgres/testing';
import { after, before, describe, it } from 'mocha';
import pg from 'pg';
import { columns, erased } from './columns.ts';
import { findPerson } from './person.ts';
import { eraseFailed, eraseRows, keysOf } from './rows.ts';
import { findTexts, remainingOf, textColumns } from './search.ts';

describe('what Postgres has of a person', function () {
  this.timeout(60_000);
  let scratch: Awaited<ReturnType<typeof scratchDatabase>>;
  let owner: pg.Pool;
  const [tenant, user, neighbour] = [randomUUIDv7(), randomUUIDv7(), randomUUIDv7()];
  const address = 'anna@mine.example';
  const telephone = '+49 30 5550123';

  before(async () => {
    scratch = await scratchDatabase();
    owner = new pg.Pool({ connectionString: scratch.url, max: 2 });
    // The database goes while the last connection says goodbye.
    owner.on('error', () => {});
    await owner.query("INSERT INTO identity.tenant (id, slug, name) VALUES ($1, 'mine', 'Mine')", [tenant]);
    for (const [id, email] of [
      [user, address],
      [neighbour, 'bert@mine.example'],
    ]) {
      await owner.query(
        `INSERT INTO identity.user_account (id, tenant_id, email, password_hash, roles) VALUES ($1, $2, $3, 'x', '{admin}')`,
        [id, tenant, email],
      );
    }
  });
  after(async () => {
    await owner?.end();
    await scratch?.drop();
  });

  it('is named column by column: a new one is erased, or says why not', async () => {
    const there = (await textColumns(owner)).map(
      ({ schema, table, column }) => `${schema}.${table}.${column}`,
    );
    const named = Object.entries(columns).flatMap(([table, of]) =>
      Object.keys(of).map((it) => `${table}.${it}`),
    );
    const hint = 'see tools/src/erase/columns.ts and the erase_user of its schema';
    assert.deepEqual(
      there.filter((it) => !named.includes(it)),
      [],
      hint,
    );
    assert.deepEqual(
      named.filter((it) => !there.includes(it)),
      [],
      hint,
    );
  });

  it('is erased by functions that name every table with such a column', async () => {
    const { rows } = await owner.query<{ body: string }>(
      "SELECT string_agg(prosrc, ' ') AS body FROM pg_proc WHERE proname IN ('erase_user', 'lock_out', 'discard_one', 'take_out')",
    );
    const body = rows[0]?.body ?? '';
    // What goes with its parent: asked of the database, not of this list.
    const { rows: cascades } = await owner.query<{ child: string }>(
      "SELECT conrelid::regclass::text AS child FROM pg_constraint WHERE contype = 'f' AND confdeltype = 'c'",
    );
    const withParent = new Set(cascades.map(({ child }) => child));
    const forgotten = Object.entries(columns)
      .filter(([, of]) => Object.values(of).includes(erased))
      .map(([table]) => table)
      .filter((table) => !body.includes(table) && !withParent.has(table));
    assert.deepEqual(forgotten, []);
  });

  it('is nobody’s to erase but the owner’s', async () => {
    for (const role of ['ragline_identity', 'ragline_dead_letters', 'ragline_chat']) {
      const pool = poolOf(role, 1, scratch.name);
      try {
        for (const call of [
          "identity.erase_user(NULL, NULL, '{}')",
          "dead_letters.erase_user(NULL, NULL, '{}', '{}')",
          "chat.erase_user(NULL, NULL, '{}')",
          'identity.lock_out(NULL, NULL)',
        ]) {
          await assert.rejects(pool.query(`SELECT ${call}`), /permission denied/, `${role}: ${call}`);
        }
        await assert.rejects(pool.query('SELECT FROM ops.erasure'), /permission denied/);
      } finally {
        await pool.end();
      }
    }
  });

  it('goes, also where only a text names the person; what others said stays, and a second run finds nothing', async () => {
    await owner.query(
      `INSERT INTO notifications.notification (id, tenant_id, audience, user_id, kind, event_id, title, created_at)
       SELECT uuidv7(), $1, 'user', u, 'order_created', uuidv7(), 'Your order was received', now() FROM unnest($2::uuid[]) AS u`,
      [tenant, [user, neighbour]],
    );
    const conversation = randomUUIDv7();
    for (const [id, of] of [
      [conversation, user],
      [randomUUIDv7(), neighbour],
    ]) {
      await owner.query('INSERT INTO chat.conversation (id, tenant_id, user_id) VALUES ($1, $2, $3)', [
        id,
        tenant,
        of,
      ]);
      await owner.query(
        `INSERT INTO chat.message (id, conversation_id, tenant_id, user_id, turn_id, position, role, content, state)
         VALUES (uuidv7(), $1, $2, $3, uuidv7(), 1, 'user', 'a question', 'completed')`,
        [id, tenant, of],
      );
    }
    const letters = [await aLetter({}), await aLetter({ key: conversation }), await aLetter({ user })];
    const noted = letters[0] ?? assert.fail();
    await owner.query(
      'INSERT INTO dead_letters.note (id, letter_id, tenant_id, user_id, text) VALUES (uuidv7(), $1, $2, $3, $4)',
      [noted, tenant, neighbour, `she called from ${telephone}`],
    );
    await owner.query(
      `INSERT INTO identity.idempotency (tenant_id, user_id, key, request_hash, status, headers, body)
       VALUES ($1, $2, 'k', 'h', 201, '{}', json_build_object('email', $3::text))`,
      [tenant, neighbour, address],
    );
    await owner.query(
      `INSERT INTO chat.document (id, tenant_id, kind, title, body, media_type, content_hash, created_by, created_at, updated_at)
       VALUES (uuidv7(), $1, 'note', 'VIPs', 'Reserve a table for ' || $2, 'text/plain', 'x', $3, now(), now())`,
      [tenant, address, neighbour],
    );

    const person = await findPerson(owner, 'mine', address.toUpperCase());
    assert.equal(person.user_id, user);
    assert.equal(person.is_last_admin, false);
    const marks = { texts: [address, telephone], keys: await keysOf(owner, person) };
    const counts = {
      ...(await eraseFailed(owner, person, marks)),
      ...(await eraseRows(owner, person, marks)),
    };
    assert.deepEqual(counts.dead_letters, { letters: 2, notes: 1, audit: 0, answers: 0 });
    assert.deepEqual(counts.chat, { conversations: 1, messages: 1, answers: 0 });
    assert.equal(counts.notifications?.notifications, 1);
    assert.deepEqual(counts.identity, { answers: 1, sessions: 0, accounts: 1 });
    const left = await owner.query('SELECT id FROM dead_letters.letter');
    assert.deepEqual(left.rows, [{ id: noted }], 'a letter of somebody else stays, without the note');

    const { remaining, toDecide } = remainingOf(await findTexts(owner, marks.texts));
    assert.deepEqual(remaining, []);
    assert.deepEqual(
      toDecide.map(({ where }) => where),
      ['chat.document.body'],
    );

    const again = {
      ...(await eraseFailed(owner, person, marks)),
      ...(await eraseRows(owner, person, marks)),
    };
    const found = Object.values(again).flatMap((of) => Object.values(of));
    assert.ok(
      found.every((count) => count === 0),
      JSON.stringify(again),
    );
    await assert.rejects(findPerson(owner, 'mine', address), /has no user/);
  });

  it('is told only that it was done, in an audit that nobody changes', async () => {
    await owner.query(
      "INSERT INTO ops.erasure (id, step, tenant_id, user_id) VALUES (uuidv7(), 'begun', $1, $2)",
      [tenant, user],
    );
    for (const change of [
      'UPDATE ops.erasure SET at = now()',
      'DELETE FROM ops.erasure',
      'TRUNCATE ops.erasure',
    ])
      await assert.rejects(owner.query(change), /never changed/);
    const person = await findPerson(owner, 'mine', user);
    assert.equal(person.email, null, 'by the id, an erasure goes on after the account is gone');
  });

  /** A letter of the neighbour's, unless the header or the key says otherwise. */
  async function aLetter(of: { key?: string; user?: string }): Promise<string> {
    const id = randomUUIDv7();
    const headers = { user_id: { t: of.user ?? neighbour } };
    await owner.query(
      `INSERT INTO dead_letters.letter (id, state, group_id, topic, partition, "offset", key, tenant_id, value, headers, source,
         dlq_topic, dlq_partition, dlq_offset, fingerprint, fingerprint_parts, attempts, first_failed_at, failed_at, kept_at,
         updated_at)
       VALUES ($1, 'waiting', 'notifications', 'orders.v1', 0, $2, convert_to($3, 'UTF8'), $4, '\\x00', $5, 'ragline',
         'notifications.dlq', 0, $2, 'f', '{}', 1, now(), now(), now(), now())`,
      [id, Math.floor(Math.random() * 1e9), of.key ?? randomUUIDv7(), tenant, headers],
    );
    return id;
  }
});
