import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { describe, it } from 'mocha';
import { createDisplay, seconds } from './display.mjs';
import { pidName } from './stack-env.ts';
import { summary } from './summary.ts';

function recorder() {
  const chunks: string[] = [];
  const out = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(String(chunk));
      done();
    },
  });
  return { out, text: () => chunks.join('') };
}

describe('what a start shows', () => {
  it('is a line for each thing that is done, where there is no terminal', () => {
    const { out, text } = recorder();
    const display = createDisplay({ out });
    display.event({ stage: 'starting', item: 'kafka', state: 'begun' });
    display.event({ stage: 'starting', item: 'kafka', state: 'done', ms: 4_100 });
    display.event({ stage: 'starting', item: 'postgres', state: 'outside' });
    display.end();
    assert.equal(text(), '  Starting    ✓ kafka 4.1 s\n  Starting    – postgres (yours)\n');
  });

  it('is JSON by the line when a program reads it', () => {
    const { out, text } = recorder();
    const display = createDisplay({ out, json: true });
    display.text('not for programs');
    display.event({ stage: 'proof', item: 'an order', state: 'done', ms: 24 });
    display.end();
    assert.deepEqual(JSON.parse(text()), {
      event: 'progress',
      stage: 'proof',
      item: 'an order',
      state: 'done',
      ms: 24,
    });
  });

  it('forgets what was being fetched once it is there', () => {
    const { out, text } = recorder();
    const display = createDisplay({ out });
    display.event({ stage: 'parts', item: 'fetching jars', state: 'begun' });
    display.event({ stage: 'parts', item: 'fetching jars', state: 'done' });
    display.end();
    assert.equal(text(), '');
  });

  it('ends with the address, the sample users and their password, and no login of a part', () => {
    const env = {
      RAGLINE_URL: 'http://localhost:8080',
      KAFKA_BROKERS: '127.0.0.1:9092',
      SCHEMA_REGISTRY_URL: 'http://ragline:hidden@127.0.0.1:8081/apis/ccompat/v7',
      RAGLINE_DEMO_PASSWORD: 'tulip-47-oak',
    };
    const offline = {
      ...{ provider: 'offline', answers_by: 'the offline responder', state: 'ok', detail: '', mend: null },
    };
    const of = {
      env,
      readyMs: 112_000,
      logs: '.ragline/logs',
      hasSamples: true,
      hasTraffic: true,
      model: offline,
      postgresHome: '/var/lib/ragline/1',
    };
    const text = summary(of);
    for (const part of [
      'http://localhost:8080/chat',
      'tulip-47-oak',
      '1 min 52 s',
      '/var/lib/ragline/1',
      'OPENAI_API_KEY=… npm start',
    ])
      assert.ok(text.includes(part), part);
    assert.ok(!text.includes('hidden'));
    const [answers_by, detail] = ['gpt-4.1-mini at llm.example', 'llm.example refuses the key (401)'];
    const refused = { provider: 'openai', answers_by, state: 'broken', detail, mend: 'set OPENAI_API_KEY' };
    const told = summary({ ...of, model: refused });
    for (const part of [answers_by, detail, 'Mend: set OPENAI_API_KEY']) assert.ok(told.includes(part), part);
    const widths = text
      .split('\n')
      .filter((line) => /[│┌├└]/.test(line))
      .map((line) => line.length);
    assert.equal(new Set(widths).size, 1);
  });

  it('counts seconds with one digit while they are few', () => {
    assert.deepEqual([40, 4_120, 61_000].map(seconds), ['0.0 s', '4.1 s', '61 s']);
  });

  it('names a process id after part and number', () => {
    assert.deepEqual(['kafka', 'notifications-2', 'dead-letters-1'].map(pidName), [
      'PID_KAFKA_1',
      'PID_NOTIFICATIONS_2',
      'PID_DEAD_LETTERS_1',
    ]);
  });
});
