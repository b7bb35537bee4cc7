import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { PermanentError, UnavailableError } from './errors.ts';
import { failpoint, failpointHeader } from './failpoint.ts';

const record = (text: string, timestamp = Date.now()) => ({
  headers: { [failpointHeader]: Buffer.from(text) },
  timestamp,
});

describe('failures on demand', () => {
  it('fail always, or as often as the header says', async () => {
    await assert.rejects(failpoint(record('fail'), 99));
    await assert.rejects(failpoint(record('fail:3'), 3));
    await failpoint(record('fail:3'), 4);
  });

  it('are permanent, or last so many seconds from the record’s time', async () => {
    await assert.rejects(failpoint(record('permanent'), 1), PermanentError);
    await assert.rejects(failpoint(record('unavailable:120'), 1), UnavailableError);
    await failpoint(record('unavailable:120', Date.now() - 121_000), 1);
  });

  it('are none without the header, or for a word that is none', async () => {
    await failpoint({ headers: {}, timestamp: 0 }, 1);
    await failpoint(record('explode'), 1);
  });
});
