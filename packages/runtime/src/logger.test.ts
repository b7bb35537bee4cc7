import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { describe, it } from 'mocha';
import { addToContext, runWithContext } from './context.ts';
import { createLogger, type LogLevel } from './logger.ts';

describe('the logger', () => {
  it('writes an event with its fields as one line of JSON', () => {
    const { log, lines } = logTo('info');
    log.info('order placed', { order_id: 'o-1', text: 'two\nlines' });
    assert.equal(lines().length, 1);
    const { time, ...line } = JSON.parse(lines()[0] ?? '');
    assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.deepEqual(line, {
      level: 'info',
      service: 'orders',
      instance: 'orders-1',
      message: 'order placed',
      order_id: 'o-1',
      text: 'two\nlines',
    });
  });

  it('names the request, the trace and the tenant that it belongs to, also across awaits', async () => {
    const { log, lines } = logTo('info');
    await runWithContext({ request_id: 'r-1', trace_id: 't-1' }, async () => {
      await Promise.resolve();
      addToContext({ tenant_id: 'demo', user_id: 'u-1' });
      log.info('inside');
    });
    log.info('outside');
    assert.partialDeepStrictEqual(JSON.parse(lines()[0] ?? ''), {
      request_id: 'r-1',
      trace_id: 't-1',
      tenant_id: 'demo',
    });
    assert.ok(!('request_id' in JSON.parse(lines()[1] ?? '')));
  });

  it('writes only what its level asks for', () => {
    const { log, lines } = logTo('warn');
    log.debug('no');
    log.info('no');
    log.warn('yes');
    log.error('yes');
    assert.equal(lines().length, 2);
  });

  it('does not let a field take the place of what it says itself', () => {
    const { log, lines } = logTo('info');
    log.info('event', { level: 'fake', service: 'fake', message: 'fake' });
    assert.partialDeepStrictEqual(JSON.parse(lines()[0] ?? ''), {
      level: 'info',
      service: 'orders',
      message: 'event',
      field_level: 'fake',
    });
  });
});

function logTo(level: LogLevel) {
  const chunks: string[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(String(chunk));
      done();
    },
  });
  const log = createLogger({ service: 'orders', instance: 'orders-1', level, stream });
  return { log, lines: () => chunks.join('').split('\n').filter(Boolean) };
}
