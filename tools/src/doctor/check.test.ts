import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { describe, it } from 'mocha';
import { report } from '../doctor.ts';
import { envLines } from '../env.ts';
import { describeKnown, modelCheck } from './assistant.ts';
import { type Check, examine } from './check.ts';
import { describeWaiting } from './dead-letters.ts';

const settings = { get: () => '', find: () => undefined };
const well: Check = { name: 'disk', mend: '-', run: async () => ({ detail: '9 GB free' }) };
const dead: Check = {
  name: 'kafka',
  mend: 'npm start',
  run: () => Promise.reject(new Error('fetch failed', { cause: new Error('connect ECONNREFUSED') })),
};
const behindDead: Check = {
  name: 'topics',
  needs: ['kafka'],
  mend: '-',
  run: async () => ({ detail: 'never asked' }),
};

describe('the doctor', () => {
  it('names what is broken with its cause and its remedy, and does not blame what stands behind it', async () => {
    assert.deepEqual(await examine([well, dead, behindDead], settings), [
      { name: 'disk', state: 'ok', detail: '9 GB free', mend: null },
      { name: 'kafka', state: 'broken', detail: 'fetch failed: connect ECONNREFUSED', mend: 'npm start' },
      { name: 'topics', state: 'skipped', detail: 'cannot be told without kafka', mend: null },
    ]);
  });

  it('says in the last line how it stands', async () => {
    assert.match(report(await examine([well], settings)), /Healthy\.\s*$/);
    assert.match(
      report(await examine([well, dead], settings)),
      /Mend: {2}npm start[\s\S]*Broken: kafka\.\s*$/,
    );
  });
});

describe('what waits', () => {
  it('is told in one line, with the age of the oldest letter', () => {
    const counts = { letters: 3, oldest_s: 7_300, lines: 1, followers: 4 };
    assert.equal(describeWaiting(counts), '3 waiting, the oldest for 2 h; 1 parked key with 4 followers');
    const none = { letters: 0, oldest_s: null, lines: 0, followers: 0 };
    assert.equal(describeWaiting(none), '0 waiting; 0 parked keys with 0 followers');
  });
});

describe('the model of the assistant', () => {
  it('is told with what is wrong and how to mend it, and without a key as the offline responder', async () => {
    const answers = {
      refused: {
        ...{ provider: 'openai', answers_by: 'gpt-4.1-mini at llm.example', state: 'broken' },
        ...{ detail: 'llm.example refuses the key (401)', mend: 'set OPENAI_API_KEY' },
      },
      offline: {
        ...{ provider: 'offline', answers_by: 'the offline responder', state: 'ok' },
        ...{ detail: 'no key and no address of a model is set', mend: null },
      },
    };
    const server = createServer((req, res) => {
      const answer = req.url?.startsWith('/refused') ? answers.refused : answers.offline;
      res.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const address = server.address();
    assert.ok(typeof address === 'object' && address !== null);
    const at = (path: string) => modelCheck({ URL_CHAT_1: `http://127.0.0.1:${address.port}${path}` });
    const findings = await examine([at('/refused'), at('')], settings);
    assert.deepEqual(
      findings.map(({ state, mend }) => [state, mend]),
      [
        ['broken', 'set OPENAI_API_KEY'],
        ['ok', null],
      ],
    );
    assert.match(report(findings), /refuses the key \(401\)[\s\S]*the offline responder[\s\S]*Broken: model/);
    server.close();
  });
});

describe('what the assistant knows', () => {
  it('is told with what cannot be found yet', () => {
    const known = { model: 'minilm_l6_v2', chunks: 280, missing: 0 };
    assert.equal(describeKnown(known), '280 chunks, all with a vector of minilm_l6_v2');
    const filling = { ...known, missing: 12 };
    assert.equal(describeKnown(filling), '280 chunks, 12 of them without a vector of minilm_l6_v2 yet');
  });
});

describe('ragline env', () => {
  it('prints lines that a shell reads back', () => {
    assert.equal(
      envLines({ A: 'http://u:p@h:1/x?y', B: `it's`, C: '' }),
      `A='http://u:p@h:1/x?y'\nB='it'\\''s'\nC=\n`,
    );
  });
});
