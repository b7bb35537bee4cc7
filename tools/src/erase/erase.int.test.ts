import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { createPool, type Pool } from '@ragline/postgres/pool';
import { poolOf, scratchDatabase } from '@ragline/postgres/testing';
import { createLogger } from '@ragline/runtime/logger';
import { createMetrics } from '@ragline/runtime/metrics';
import { createCodec } from '@ragline/schemas/codec';
import { createKafka } from '@ragline/streams/kafka-client';
import { after, before, describe, it } from 'mocha';
import pg from 'pg';
import { eventually } from '../../../tests/support/eventually.ts';
import { stack } from '../../../tests/support/stack.ts';
import { columns, erased } from './columns.ts';
import { type CutAdmin, cutRecords } from './cut.ts';
import { erase } from './erase.ts';
import { findPerson, textsOf } from './person.ts';
import type { Hit } from './records.ts';
import { countRows, eraseAccount, eraseFailed, eraseRows, keysOf } from './rows.ts';
import { findTexts, remainingOf, textColumns } from './search.ts';

const log = createLogger({ service: 'test', level: 'error' });

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

  it('is looked for in every schema, and in every type that could hold a text', async () => {
    await owner.query('CREATE SCHEMA later; CREATE TABLE later.call (id uuid, at timestamptz, caller inet)');
    const columns = await textColumns(owner);
    await owner.query('DROP SCHEMA later CASCADE');
    assert.deepEqual(
      columns.filter(({ schema }) => schema === 'later').map(({ column }) => column),
      ['caller'],
    );
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
      ...(await eraseAccount(owner, person, marks)),
    };
    assert.deepEqual(counts.dead_letters, { letters: 2, notes: 1, audit: 0, answers: 0 });
    assert.deepEqual(counts.chat, { conversations: 1, messages: 1, answers: 0 });
    assert.equal(counts.notifications?.notifications, 1);
    assert.deepEqual(counts.identity, { answers: 1, sessions: 0, accounts: 1 });
    const left = await owner.query('SELECT id FROM dead_letters.letter');
    assert.deepEqual(left.rows, [{ id: noted }], 'a letter of somebody else stays, without the note');

    const { remaining, toDecide } = remainingOf(await findTexts(owner, person, marks.texts));
    assert.deepEqual(remaining, []);
    assert.deepEqual(
      toDecide.map(({ where }) => where),
      ['chat.document.body'],
    );

    const again = {
      ...(await eraseFailed(owner, person, marks)),
      ...(await eraseRows(owner, person, marks)),
      ...(await eraseAccount(owner, person, marks)),
    };
    const found = Object.values(again).flatMap((of) => Object.values(of));
    assert.ok(
      found.every((count) => count === 0),
      JSON.stringify(again),
    );
    await assert.rejects(findPerson(owner, 'mine', address), /has no user/);
  });

  it('is told from what others wrote, and from who has the same address elsewhere: no run removes that', async () => {
    const [elsewhere, text] = [randomUUIDv7(), `${randomUUIDv7()}@mine.example`];
    await owner.query("INSERT INTO identity.tenant (id, slug, name) VALUES ($1, 'elsewhere', 'Elsewhere')", [
      elsewhere,
    ]);
    await owner.query(
      `INSERT INTO identity.user_account (id, tenant_id, email, password_hash, roles) VALUES (uuidv7(), $1, $2, 'x', '{customer}')`,
      [elsewhere, text],
    );
    for (const owned of [neighbour, user]) {
      await owner.query(
        `INSERT INTO orders.orders (tenant_id, id, user_id, status, currency, subtotal, discount, total, notes, version, created_at, updated_at)
         VALUES ($1, uuidv7(), $2, 'pending', 'EUR', 500, 0, 500, 'ask ' || $3, 1, now(), now())`,
        [tenant, owned, text],
      );
    }
    const { remaining, toDecide } = remainingOf(
      await findTexts(owner, { tenant_id: tenant, user_id: user }, [text]),
    );
    assert.deepEqual(
      remaining.map(({ where }) => where),
      ['orders.orders.notes'],
    );
    assert.deepEqual(
      toDecide.map(({ where, why }) => `${where}: ${why}`),
      [
        'identity.user_account.email: 1 row names the person: another tenant’s, which is asked for itself',
        'orders.orders.notes: 1 row names the person: another person’s own, see the runbook',
      ],
    );
    await owner.query("UPDATE orders.orders SET notes = NULL WHERE notes LIKE 'ask %'");
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

  it('is not whoever has an address that ends or begins alike, and is whoever wrote it in large letters', async () => {
    const alone = [
      'Anna@Mine.example',
      'see anna@mine.example.',
      '<anna@mine.example>',
      'joanna@mine.example or anna@mine.example',
      String.raw`{"to":"\nanna@mine.example"}`,
      String.raw`{"to":"\u003canna@mine.example\u003e"}`,
      '„anna@mine.example“',
    ];
    const others = [
      'joanna@mine.example',
      'jo.anna@mine.example',
      'anna@mine.example.org',
      'anna@mine.example-two',
      'annaXmine.example',
    ];
    const { rows } = await owner.query<{ text: string; in_text: boolean; in_bytes: boolean }>(
      `SELECT text, ops.mentions(text, $2) AS in_text, ops.mentions(convert_to(text, 'UTF8'), $2) AS in_bytes
         FROM unnest($1::text[]) AS text`,
      [[...alone, ...others], [address]],
    );
    const found = (of: 'in_text' | 'in_bytes') => rows.filter((row) => row[of]).map(({ text }) => text);
    assert.deepEqual(found('in_text'), alone);
    assert.deepEqual(found('in_bytes'), alone);
    const {
      rows: [binary],
    } = await owner.query(
      "SELECT ops.mentions('\\x0000000144'::bytea || convert_to($1 || '4', 'UTF8'), ARRAY[$1]) AS is",
      [address],
    );
    assert.equal(binary.is, true, 'a length looks like a letter, and what follows is another field');
  });

  it('takes nothing of the neighbour with it: neither records, letters nor kept answers of other tenants', async () => {
    const person = { tenant_id: tenant, tenant: 'mine', user_id: user, email: address, is_last_admin: false };
    const own = [await aRecord('"ANNA@mine.example"'), await aLetter({ value: 'Anna@Mine.example' })];
    const kept = [await aRecord('"joanna@mine.example"'), await aLetter({ value: 'joanna@mine.example' })];
    const elsewhere = randomUUIDv7();
    for (const it of [elsewhere, tenant]) {
      await owner.query(
        `INSERT INTO dead_letters.idempotency (tenant_id, user_id, key, request_hash, status, headers, body)
         VALUES ($1, $2, 'k', 'h', 200, '{}', json_build_object('email', $3::text))`,
        [it, neighbour, address],
      );
    }
    const counts = await eraseFailed(owner, person, { texts: [address], keys: [] });
    assert.deepEqual(counts.streams, { parked: 1, busy: 0 });
    assert.deepEqual(counts.dead_letters, { letters: 1, notes: 0, audit: 0, answers: 1 });
    const { rows } = await owner.query<{ id: string }>(
      `SELECT id::text FROM streams.parked_record WHERE id::text = ANY ($1)
       UNION ALL SELECT id::text FROM dead_letters.letter WHERE id::text = ANY ($1)`,
      [[...own, ...kept]],
    );
    assert.deepEqual(
      rows.map(({ id }) => id),
      kept,
    );
    const answers = await owner.query('SELECT tenant_id FROM dead_letters.idempotency');
    assert.deepEqual(answers.rows, [{ tenant_id: elsewhere }]);
    // Other tests look for the address in everything.
    await owner.query('DELETE FROM dead_letters.idempotency');
  });

  it('is counted without holding a lock of one schema while the next is counted', async () => {
    const record = await aRecord(telephone);
    const person = { tenant_id: tenant, tenant: 'mine', user_id: user, email: address, is_last_admin: false };
    const [counter, other] = [pool(2), await owner.connect()];
    try {
      await other.query('BEGIN');
      await other.query('LOCK TABLE dead_letters.letter IN ACCESS EXCLUSIVE MODE');
      const counting = countRows(counter, person, { texts: [telephone], keys: [] });
      await eventually(async () => {
        const { rows } = await owner.query(
          "SELECT FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock' AND query LIKE '%dead_letters.erase_user%'",
          [scratch.name],
        );
        assert.equal(rows.length, 1);
      });
      await owner.query('SELECT FROM streams.parked_record WHERE id = $1 FOR UPDATE NOWAIT', [record]);
      await other.query('ROLLBACK');
      assert.deepEqual((await counting).streams, { parked: 1, busy: 0 });
      const { rowCount } = await owner.query('SELECT FROM streams.parked_record WHERE id = $1', [record]);
      assert.equal(rowCount, 1, 'counting takes nothing');
    } finally {
      await other.query('ROLLBACK');
      other.release();
      await counter.end();
    }
  });

  it('keeps the account, closed, while something waits for others: the next run needs its address', async () => {
    const [id, email] = [randomUUIDv7(), `${randomUUIDv7()}@mine.example`];
    await owner.query(
      "INSERT INTO identity.user_account (id, tenant_id, email, password_hash, roles) VALUES ($1, $2, $3, 'x', '{customer}')",
      [id, tenant, email],
    );
    const conversation = randomUUIDv7();
    await owner.query('INSERT INTO chat.conversation (id, tenant_id, user_id) VALUES ($1, $2, $3)', [
      ...[conversation, tenant, id],
    ]);
    await owner.query(
      `INSERT INTO chat.outbox (id, aggregatetype, aggregateid, type, tenant_id, user_id, traceparent, payload)
       VALUES (uuidv7(), 'chat.requests.v1', $1, 'chat_requested', $2, $3, '', '\\x00')`,
      [conversation, tenant, id],
    );
    const { kafka: access, registryUrl } = stack();
    const kafka = createKafka({ ...access, clientId: 'test-erase', log });
    // Other tests' topics come and go.
    const admin = kafka.admin();
    admin.listTopics = async () => [];
    kafka.admin = () => admin;
    await owner.query('UPDATE chat.conversation SET title = $2 WHERE id = $1', [conversation, email]);
    await owner.query(
      `INSERT INTO chat.document (id, tenant_id, kind, title, body, media_type, content_hash, created_by, created_at, updated_at)
       VALUES (uuidv7(), $1, 'note', 'Guests', 'ask ' || $2, 'text/plain', 'x', $3, now(), now())`,
      [tenant, email, neighbour],
    );
    const own = pool(2);
    const parts = {
      // Nobody listens on port 1: a cache that is away keeps no row from being erased.
      ...{ pool: own, kafka, access, redisUrl: 'redis://127.0.0.1:1', say: () => {} },
      codec: createCodec({ registryUrl }),
    };
    const options = { texts: [], cut: [], within: { arrivedMs: 0, readMs: 0 } };
    try {
      const dry = await erase(parts, await findPerson(own, 'mine', email), { ...options, dryRun: true });
      assert.equal(dry.counts.chat?.conversations, 1);
      assert.deepEqual(dry.remaining, []);
      assert.deepEqual(
        dry.to_decide.map(({ where }) => where),
        ['chat.document.body'],
        'what would be left is known beforehand',
      );
      const outcome = await erase(
        parts,
        await findPerson(own, 'mine', email),
        // No connector reads this database, so the revocation cannot arrive.
        { ...options, dryRun: false },
      );
      assert.deepEqual(
        outcome.remaining.map(({ where }) => where),
        ['identity.revocations.v1', 'Redis', 'identity.user_account'],
      );
      const { rows } = await owner.query('SELECT email, active FROM identity.user_account WHERE id = $1', [
        id,
      ]);
      assert.deepEqual(rows, [{ email, active: false }]);
      const person = await findPerson(own, 'mine', email);
      const gone = await owner.query('SELECT FROM chat.conversation WHERE id = $1', [conversation]);
      assert.equal(gone.rowCount, 0);
      const keys = await keysOf(own, person);
      assert.deepEqual(
        keys.toSorted(),
        [id, conversation].toSorted(),
        'what garbage of it lies under is still known',
      );
    } finally {
      await own.end();
    }
    assert.throws(() => textsOf({ email: null, user_id: id }, []), /give the address as --text/);
    assert.deepEqual(textsOf({ email: null, user_id: id }, [email]), [email]);
  });

  it('is cut out of a topic when its group has read so far, or when the operator names what a group left', async () => {
    const hit = { kind: 'failed', partition: 0, first: 3, last: 5, lastAt: 0, records: 2 } as const;
    const [read, behind, gone]: Hit[] = ['read', 'behind', 'gone'].map((group) => ({
      ...hit,
      topic: `${group}.retry.60s`,
    }));
    assert.ok(read && behind && gone);
    const places: Record<string, string> = { read: '6', behind: '5' };
    const taken: string[] = [];
    const admin: CutAdmin = {
      listGroups: async () => ({
        groups: Object.keys(places).map((groupId) => ({ groupId, protocolType: 'consumer' })),
      }),
      describeGroups: async (groupIds) => ({
        groups: groupIds.map((groupId) => ({
          ...{ groupId, errorCode: 0, members: [], protocol: '', protocolType: 'consumer', state: 'Stable' },
        })),
      }),
      fetchOffsets: async ({ groupId, topics = [] }) =>
        topics
          .filter((topic) => topic.startsWith(groupId))
          .map((topic) => ({
            topic,
            partitions: [{ partition: 0, offset: places[groupId] ?? '-1', metadata: null }],
          })),
      async deleteTopicRecords({ topic, partitions }) {
        taken.push(...partitions.map(({ partition, offset }) => `${topic}/${partition} ${offset}`));
      },
    };
    const own = pool(1);
    try {
      const cut = (named: string[]) =>
        cutRecords({ admin, pool: own, hits: [read, behind, gone], named, withinMs: 0 });
      const { waiting, others } = await cut([]);
      assert.deepEqual(taken, ['read.retry.60s/0 6']);
      assert.deepEqual(waiting, [
        { where: 'behind.retry.60s/0 3–5', why: 'the group behind has not read it yet' },
        { where: 'gone.retry.60s/0 3–5', why: 'the group gone has not read it yet' },
      ]);
      assert.deepEqual(others, []);
      taken.length = 0;
      const named = await cut([behind.topic, gone.topic]);
      assert.deepEqual(taken, ['read.retry.60s/0 6', 'gone.retry.60s/0 6']);
      assert.equal(named.waiting.length, 1, 'whoever reads is waited for all the same');
    } finally {
      await own.end();
    }
  });

  function pool(max: number): Pool {
    const metrics = createMetrics({ service: 'test' });
    return createPool({ url: scratch.url, max, applicationName: 'test-erase', log, metrics });
  }

  /** Parked, in a line of its own, and of nobody but for what it says. */
  async function aRecord(value: string): Promise<string> {
    const { rows } = await owner.query<{ id: string }>(
      `WITH line AS (
         INSERT INTO streams.parked_key (group_id, topic, partition, key, attempt, not_before, last_offset, depth, bytes)
         VALUES ('notifications', 'orders.v1', 0, convert_to($1, 'UTF8'), 1, 'infinity', 7, 1, 1) RETURNING id)
       INSERT INTO streams.parked_record (parked_id, "offset", inbox_id, event_id, value, headers, stamped_at, bytes)
       SELECT id, 7, $1, $1, convert_to($2, 'UTF8'), '{}', 0, 1 FROM line RETURNING id::text`,
      [randomUUIDv7(), value],
    );
    return rows[0]?.id ?? assert.fail();
  }

  /** A letter of the neighbour's, unless the header, the key or the value says otherwise. */
  async function aLetter(of: { key?: string; user?: string; value?: string }): Promise<string> {
    const id = randomUUIDv7();
    const headers = { user_id: { t: of.user ?? neighbour } };
    await owner.query(
      `INSERT INTO dead_letters.letter (id, state, group_id, topic, partition, "offset", key, tenant_id, value, headers, source,
         dlq_topic, dlq_partition, dlq_offset, fingerprint, fingerprint_parts, attempts, first_failed_at, failed_at, kept_at,
         updated_at)
       VALUES ($1, 'waiting', 'notifications', 'orders.v1', 0, $2, convert_to($3, 'UTF8'), $4, convert_to($6, 'UTF8'), $5, 'ragline',
         'notifications.dlq', 0, $2, 'f', '{}', 1, now(), now(), now(), now())`,
      [id, Math.floor(Math.random() * 1e9), of.key ?? randomUUIDv7(), tenant, headers, of.value ?? '?'],
    );
    return id;
  }
});
