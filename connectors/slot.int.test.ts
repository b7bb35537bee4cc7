import assert from 'node:assert/strict';
import { randomBytes, randomUUIDv7 } from 'node:crypto';
import { createLogger } from '@ragline/runtime/logger';
import { createKafka } from '@ragline/streams/kafka-client';
import { after, afterEach, before, beforeEach, describe, it } from 'mocha';
import pg from 'pg';
import { eventually } from '../tests/support/eventually.ts';
import { stack } from '../tests/support/stack.ts';
import { makeBenchTopic } from '../tools/src/bench/parts/bench-topic.ts';
import { applyConnector, type ConnectorConfig, connectorStatus } from '../tools/src/parts/apply-connector.ts';
import { connectClient } from '../tools/src/parts/connect.ts';
import { withAdmin } from '../tools/src/parts/kafka.ts';
import { type RecordTap, startRecordTap } from './record-tap.ts';

/** Each test has an outbox, a publication, a slot and a connector of its own. */
describe('the connector and its slot', function () {
  this.timeout(120_000);
  const parts = stack();
  const log = createLogger({ service: 'test', level: 'error' });
  const kafka = createKafka({ ...parts.kafka, clientId: 'test-slot', log });
  const ask = connectClient(parts.connectUrl);
  const admin = new pg.Pool({ connectionString: parts.databaseUrl, max: 2 });
  let topic: string;
  let tap: RecordTap;
  let name: string;

  before(async () => {
    topic = (await withAdmin(kafka, makeBenchTopic)).name;
    tap = await startRecordTap({ kafka: parts.kafka, topics: [topic] });
  });
  after(async () => {
    await tap?.stop();
    await withAdmin(kafka, (it) => it.deleteTopics({ topics: [topic] }));
    await admin.end();
  });
  beforeEach(async () => {
    name = `test_${randomBytes(6).toString('hex')}`;
    await admin.query(`CREATE SCHEMA ${name}; GRANT USAGE ON SCHEMA ${name} TO ragline_cdc`);
    await admin.query("SELECT ops.create_outbox($1, 'ragline_orders'), ops.maintain_outbox($1)", [name]);
    await admin.query(
      `CREATE PUBLICATION ${name} FOR TABLE ${name}.outbox WITH (publish = 'insert', publish_via_partition_root)`,
    );
    await makeSlot();
  });
  afterEach(async () => {
    await ask('DELETE', `/connectors/${name}`);
    await eventually(() => dropSlot(), { withinMs: 30_000, everyMs: 200 });
    await admin.query(`DROP PUBLICATION IF EXISTS ${name}`);
    await admin.query(`DROP SCHEMA IF EXISTS ${name} CASCADE`);
  });

  const makeSlot = () => admin.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [name]);
  const dropSlot = () =>
    admin.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1', [
      name,
    ]);

  const write = async () => {
    const id = randomUUIDv7();
    await admin.query(
      `INSERT INTO ${name}.outbox (id, aggregatetype, aggregateid, type, payload, tenant_id, user_id, traceparent)
       VALUES ($1, $2, 'key', 'tested', '\\x00', $1, '', '')`,
      [id, topic],
    );
    return id;
  };
  const arrives = (id: string) =>
    eventually(() => tap.records.some(({ headers }) => headers.id === id), { withinMs: 60_000 });
  const apply = () => applyConnector({ ...applyOptions(), name, changes: changesFor(name) });
  const stopped = async () => {
    await ask('PUT', `/connectors/${name}/stop`);
    await eventually(async () => (await connectorStatus({ ...applyOptions(), name })).state === 'STOPPED', {
      withinMs: 30_000,
    });
  };

  it('carries what was written after the slot was made and before the connector was', async () => {
    const early = await write();
    await apply();
    await arrives(early);
    assert.deepEqual(await apply(), { name, outcome: 'current' });
  });

  it('goes on from its place after a stop, with each row once', async () => {
    await apply();
    await arrives(await write());
    await stopped();
    const meanwhile = await write();
    await ask('PUT', `/connectors/${name}/resume`);
    await arrives(meanwhile);
    await arrives(await write());
    assert.equal(tap.records.filter(({ headers }) => headers.id === meanwhile).length, 1);
  });

  it('fails rather than passing over what was written while there was no slot', async () => {
    await apply();
    await arrives(await write());
    await stopped();
    await dropSlot();
    const unseen = await write();
    await makeSlot();
    await ask('PUT', `/connectors/${name}/resume`);
    const { error } = await eventually(
      async () => {
        const status = await connectorStatus({ ...applyOptions(), name });
        assert.equal(status.state, 'FAILED');
        return status;
      },
      { withinMs: 60_000 },
    );
    assert.ok(error);
    assert.equal(
      tap.records.some(({ headers }) => headers.id === unseen),
      false,
    );
  });

  it('carries what is written to a partition made while it runs, and survives the drop of another', async () => {
    await apply();
    await arrives(await write());
    const { rows } = await admin.query<{ name: string }>(
      'SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = $1::regclass ORDER BY 1',
      [`${name}.outbox`],
    );
    const present = new Date().toISOString().slice(0, 7).replace('-', '_');
    for (const { name: partition } of rows)
      await admin.query(`ALTER TABLE ${name}.outbox DETACH PARTITION ${partition}`);
    for (const { name: partition } of rows) await admin.query(`DROP TABLE ${partition}`);
    await admin.query('SELECT ops.maintain_outbox($1)', [name]);
    assert.ok(rows.some((row) => row.name.endsWith(present)));
    await arrives(await write());
  });

  function applyOptions() {
    return { connectUrl: parts.connectUrl, cdcUrl: parts.databaseUrlOf('ragline_cdc') };
  }
});

function changesFor(name: string): ConnectorConfig {
  return {
    'topic.prefix': name,
    'slot.name': name,
    'publication.name': name,
    'table.include.list': `${name}.outbox`,
    'predicates.event.pattern': `${name}\\..*`,
    // Its topic would be one more.
    'heartbeat.interval.ms': '0',
  };
}
