import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { scratchDatabase } from '@ragline/postgres/testing';
import { CodecError } from '@ragline/schemas/codec';
import { after, before, describe, it } from 'mocha';
import pg from 'pg';
import { checkExport } from './check.ts';
import { entities, left } from './entities.ts';
import { exportTenant } from './export.ts';

describe('the export of a tenant', function () {
  this.timeout(60_000);
  let scratch: Awaited<ReturnType<typeof scratchDatabase>>;
  let db: pg.Client;
  let parent: string;
  const [tenant, other] = [randomUUIDv7(), randomUUIDv7()];
  const products = 1_203;

  before(async () => {
    scratch = await scratchDatabase();
    db = new pg.Client({ connectionString: scratch.url });
    await db.connect();
    parent = await mkdtemp(join(tmpdir(), 'ragline-export-'));
    for (const [id, slug] of [
      [tenant, 'mine'],
      [other, 'others'],
    ])
      await fill(id ?? '', slug ?? '');
  });
  after(async () => {
    await db?.end();
    await scratch?.drop();
    await rm(parent, { recursive: true, force: true });
  });

  async function fill(id: string, slug: string): Promise<void> {
    const user = randomUUIDv7();
    await db.query('INSERT INTO identity.tenant (id, slug, name) VALUES ($1, $2, $2)', [id, slug]);
    await db.query(
      `INSERT INTO identity.user_account (id, tenant_id, email, password_hash, roles)
       VALUES ($1, $2, 'cook@' || $3, 'a-hash-of-a-password', '{staff}')`,
      [user, id, slug],
    );
    await db.query(
      `INSERT INTO orders.product (tenant_id, id, name, price, currency, created_at, updated_at)
       SELECT $1, uuidv7(), $2 || ' soup ' || n, 500, 'EUR', now(), now() FROM generate_series(1, $3) AS n`,
      [id, slug, products],
    );
    await db.query(
      `UPDATE orders.product SET attributes = '{"code": 12345678901234567890}', description = E'a\u2028b\nc' WHERE name = $1`,
      [`${slug} soup 1`],
    );
    const order = randomUUIDv7();
    await db.query(
      `INSERT INTO orders.orders (tenant_id, id, user_id, status, currency, subtotal, discount, total, notes, version, created_at, updated_at)
       VALUES ($1, $2, $3, 'pending', 'EUR', 500, 0, 500, 'no onions', 1, now(), now())`,
      [id, order, user],
    );
    await db.query(
      `INSERT INTO orders.order_item (tenant_id, order_id, position, product_id, name, quantity, unit_price, line_total)
       VALUES ($1, $2, 1, uuidv7(), 'soup', 1, 500, 500)`,
      [id, order],
    );
    for (const payload of ['first', 'unreadable']) {
      await db.query(
        `INSERT INTO orders.outbox (id, aggregatetype, aggregateid, type, payload, tenant_id, user_id, traceparent)
         VALUES (uuidv7(), 'orders.v1', $1, 'order_created', $2, $3, $4, '')`,
        [order, Buffer.from(payload), id, user],
      );
    }
    const conversation = randomUUIDv7();
    await db.query('INSERT INTO chat.conversation (id, tenant_id, user_id) VALUES ($1, $2, $3)', [
      conversation,
      id,
      user,
    ]);
    await db.query(
      `INSERT INTO chat.message (id, conversation_id, tenant_id, user_id, turn_id, position, role, content, state)
       SELECT uuidv7(), $1, $2, $3, uuidv7(), n, 'user', 'question ' || n, 'completed' FROM generate_series(1, 3) AS n`,
      [conversation, id, user],
    );
  }

  const codec = {
    async decode(bytes: Buffer) {
      if (bytes.toString() === 'unreadable') throw new CodecError('schema_unknown', 'no schema');
      return { schema_id: 1, name: 'order_v1', value: { event_type: bytes.toString() } };
    },
  };
  const exported = (name: string, slug = 'mine') =>
    exportTenant({ db, codec, slug, folder: join(parent, name), say: () => {} });
  // biome-ignore lint/suspicious/noExplicitAny: rows of any entity.
  const rowsOf = async (name: string, entity: string): Promise<any[]> =>
    (await readFile(join(parent, name, `${entity}.ndjson`), 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));

  it('has each entity of the tenant with as many rows as the database, and none of another', async () => {
    const manifest = await exported('whole');
    const counts = Object.fromEntries(manifest.files.map(({ name, rows }) => [name.split('.')[0], rows]));
    const { users, orders, messages, conversations } = counts;
    assert.deepEqual(
      { users, products: counts.products, orders, messages, conversations, tenant: counts.tenant },
      { users: 1, products, orders: 1, messages: 3, conversations: 1, tenant: 1 },
    );
    assert.deepEqual(Object.keys(counts).sort(), entities.map(({ name }) => name).sort());
    for (const name of await readdir(join(parent, 'whole'))) {
      assert.equal((await readFile(join(parent, 'whole', name), 'utf8')).includes('others'), false, name);
      assert.equal((await stat(join(parent, 'whole', name))).mode & 0o077, 0, name);
    }
  });

  it('gives an order with its items, its notes and its history as events', async () => {
    const [order] = await rowsOf('whole', 'orders');
    assert.deepEqual([order.notes, order.items.length, order.total], ['no onions', 1, 500]);
    assert.deepEqual(order.history, [
      { event_type: 'first' },
      { raw: Buffer.from('unreadable').toString('base64') },
    ]);
  });

  it('rounds no number, and keeps a text with line ends on its line', async () => {
    const text = await readFile(join(parent, 'whole', 'products.ndjson'), 'utf8');
    assert.match(text, /"code": 12345678901234567890\b/);
    assert.equal(text.trim().split('\n').length, products);
  });

  it('has no secret: no hash of a password, no token', async () => {
    const [user] = await rowsOf('whole', 'users');
    assert.equal(user.email, 'cook@mine');
    assert.deepEqual(
      Object.keys(user).filter((name) => /password|token|hash|secret/.test(name)),
      [],
    );
  });

  it('has every table that has rows of tenants, or says why not', async () => {
    const { rows } = await db.query<{ name: string; suspects: string[] }>(
      `SELECT n.nspname || '.' || c.relname AS name,
              array_agg(a.attname::text) FILTER (WHERE a.attname ~ 'secret|sealed|password|hash|key|quote_token') AS suspects
         FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
        GROUP BY 1 HAVING bool_or(a.attname = 'tenant_id') OR bool_or(n.nspname || '.' || c.relname = 'identity.tenant')`,
    );
    const sqlOf = (name: string) =>
      entities
        .flatMap(({ sql }) => (new RegExp(`\\b${name.replace('.', '\\.')}\\b`).test(sql) ? [sql] : []))
        .join(' ');
    const names = rows.map(({ name }) => name).sort();
    assert.deepEqual(
      names.filter((name) => (sqlOf(name) === '') !== name in left),
      [],
      'see tools/src/tenants/entities.ts',
    );
    assert.deepEqual(
      Object.keys(left).filter((name) => !names.includes(name)),
      [],
    );
    // The outbox is read for its events alone, and a note for its words.
    const open = rows.flatMap(({ name, suspects }) =>
      name in left || name === 'orders.outbox'
        ? []
        : (suspects ?? [])
            .filter((column) => !sqlOf(name).includes(`'${column}'`))
            .map((column) => `${name}.${column}`),
    );
    assert.deepEqual(open, [], 'columns that look like secrets are hidden');
  });

  it('is read again, and told from one in which a line was changed, lost or added', async () => {
    const checked = await checkExport(join(parent, 'whole'));
    assert.equal(checked.find(({ file }) => file === 'products.ndjson')?.rows, products);
    const file = join(parent, 'whole', 'messages.ndjson');
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replace('question 2', 'question 9'));
    await assert.rejects(checkExport(join(parent, 'whole')), /messages\.ndjson is not as it was written/);
    await writeFile(file, text);
    await appendFile(file, '{}\n');
    await assert.rejects(checkExport(join(parent, 'whole')), /messages\.ndjson has 4 rows, not 3/);
    await writeFile(file, text);
    await writeFile(join(parent, 'whole', 'more.ndjson'), '');
    await assert.rejects(checkExport(join(parent, 'whole')), /more\.ndjson is not in the manifest/);
    await rm(join(parent, 'whole', 'more.ndjson'));
    await rm(file);
    await assert.rejects(checkExport(join(parent, 'whole')), /^Error: messages\.ndjson is not there$/);
    await assert.rejects(
      checkExport(join(parent, 'nowhere')),
      /is no export: its manifest\.json is not there/,
    );
  });

  it('leaves nothing behind for a tenant that is not there, and touches no folder that has something in it', async () => {
    await assert.rejects(exported('nobody', 'nobody'), /no tenant nobody/);
    await assert.rejects(exported('whole'), /is not empty/);
    assert.deepEqual(await readdir(parent), ['whole']);
  });

  it('fails while the registry is away, rather than leave a history as bytes', async () => {
    const away = async () => assert.fail('the registry is away');
    const folder = join(parent, 'away');
    await assert.rejects(
      exportTenant({ db, codec: { decode: away }, slug: 'mine', folder, say: () => {} }),
      /registry is away/,
    );
    assert.deepEqual(await readdir(parent), ['whole']);
  });

  it('removes nothing that came into its folder meanwhile', async () => {
    const folder = join(parent, 'used');
    await mkdir(folder);
    const say = (what: string) =>
      void (what === 'documents' && writeFileSync(join(folder, 'mine.txt'), 'mine'));
    await assert.rejects(exportTenant({ db, codec, slug: 'mine', folder, say }), /is not empty any more/);
    assert.equal(await readFile(join(folder, 'mine.txt'), 'utf8'), 'mine');
    assert.deepEqual((await readdir(parent)).sort(), ['used', 'whole']);
  });

  it('says where an export lies that was killed, and leaves it for a person to judge', async () => {
    await mkdir(join(parent, '.killed.partial'));
    await assert.rejects(exported('killed'), /\.killed\.partial is there: .* remove it/);
    await rm(join(parent, '.killed.partial'), { recursive: true });
  });
});
