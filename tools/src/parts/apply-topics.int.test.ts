import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createLogger } from '@ragline/runtime/logger';
import { allTopics, type Topic, topics } from '@ragline/schemas/topics';
import { createKafka } from '@ragline/streams/kafka-client';
import kafkajs, { type Admin } from 'kafkajs';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../../../tests/support/eventually.ts';
import { stack } from '../../../tests/support/stack.ts';
import { applyTopics, inspectTopics } from './apply-topics.ts';

describe('applying the map of topics', function () {
  this.timeout(60_000);
  const topic: Topic = { ...topics.orders, name: `test-${randomUUID()}.v1`, partitions: 2 };
  let admin: Admin;

  before(async () => {
    const log = createLogger({ service: 'test', level: 'error' });
    admin = createKafka({ ...stack().kafka, clientId: 'test-topics', log }).admin();
    await admin.connect();
  });
  after(async () => {
    await admin?.deleteTopics({ topics: [topic.name] }).catch(() => {});
    await admin?.disconnect();
  });

  it('finds the running stack as the map says', async () => {
    const different = (await inspectTopics(admin, allTopics)).filter(({ drift }) => drift.length > 0);
    assert.deepEqual(different, []);
  });

  it('creates what is missing, and changes nothing the second time', async () => {
    assert.equal((await inspectTopics(admin, [topic]))[0]?.partitions, null);
    assert.equal((await applyTopics(admin, [topic]))[0]?.outcome, 'created');
    await eventually(async () => assert.equal((await applyTopics(admin, [topic]))[0]?.outcome, 'current'));
  });

  it('brings back a setting that drifted, and keeps one that it has no opinion on', async () => {
    const entries = [
      { name: 'compression.type', value: 'lz4' },
      { name: 'segment.ms', value: '7200000' },
    ];
    const resource = { type: kafkajs.ConfigResourceTypes.TOPIC, name: topic.name };
    await admin.alterConfigs({ validateOnly: false, resources: [{ ...resource, configEntries: entries }] });
    await eventually(async () => {
      const [state] = await inspectTopics(admin, [topic]);
      assert.ok(state?.drift.includes('compression.type: lz4, not gzip'));
    });
    const [outcome] = await applyTopics(admin, [topic]);
    assert.equal(outcome?.outcome, 'altered');
    await eventually(async () => assert.deepEqual((await inspectTopics(admin, [topic]))[0]?.drift, []));
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ ...resource, configNames: ['segment.ms'] }],
    });
    assert.equal(resources[0]?.configEntries[0]?.configValue, '7200000');
  });

  it('refuses to change partitions: keys would move and lose their order', async () => {
    await assert.rejects(applyTopics(admin, [{ ...topic, partitions: 3 }]), /has 2 partitions, not 3/);
  });
});
