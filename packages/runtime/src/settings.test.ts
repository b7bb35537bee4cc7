import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { readSettings, SettingsError, type SettingsReader } from './settings.ts';

const read = <T>(env: Record<string, string>, fn: (env: SettingsReader) => T) => readSettings(env, fn);

describe('settings', () => {
  it('are typed, and fall back where they are not set or empty', () => {
    const settings = read({ PORT: ' 8080 ', NAME: '', FLAG: 'off', HOSTS: 'a, b,,' }, (env) => ({
      port: env.integer('PORT', 1),
      wait: env.integer('WAIT_MS', 5_000),
      name: env.string('NAME', 'orders'),
      flag: env.boolean('FLAG', true),
      hosts: env.list('HOSTS'),
      level: env.choice('LOG_LEVEL', ['info', 'debug'], 'info'),
      redis: env.optional('REDIS_URL'),
    }));
    assert.deepEqual(settings, {
      port: 8080,
      wait: 5_000,
      name: 'orders',
      flag: false,
      hosts: ['a', 'b'],
      level: 'info',
      redis: undefined,
    });
  });

  it('report every fault in one message', () => {
    const env = { PORT: '80a', LOG_LEVEL: 'loud', FLAG: 'maybe', URL: 'nowhere', HOSTS: ',' };
    assert.throws(
      () =>
        read(env, (it) => [
          it.integer('PORT'),
          it.choice('LOG_LEVEL', ['info', 'debug'], 'info'),
          it.boolean('FLAG', true),
          it.url('URL'),
          it.list('HOSTS'),
          it.string('MISSING'),
        ]),
      (error: unknown) => {
        assert.ok(error instanceof SettingsError);
        assert.deepEqual(error.faults, [
          'PORT must be a whole number from 0 to 9007199254740991, not "80a"',
          'LOG_LEVEL must be one of info, debug, not "loud"',
          'FLAG must be true or false, not "maybe"',
          'URL must be an absolute URL',
          'HOSTS has no entry',
          'MISSING is not set',
        ]);
        return true;
      },
    );
  });

  for (const [value, why] of [
    ['1e3', 'an exponent'],
    ['0x10', 'a hexadecimal number'],
    ['1.5', 'a fraction'],
    ['99999999999999999999', 'more than a number holds'],
    ['-1', 'less than the least'],
    ['70000', 'more than the most'],
  ] as const) {
    it(`refuse ${why} as a port`, () => {
      assert.throws(
        () => read({ PORT: value }, (env) => env.integer('PORT', 1, { max: 65_535 })),
        SettingsError,
      );
    });
  }

  it('never show a secret or a URL, which may hold one', () => {
    const env = { DATABASE_URL: 'no url with s3cret', SECRET: 's3cret' };
    assert.throws(
      () => read(env, (it) => [it.url('DATABASE_URL'), it.secret('SECRET'), it.integer('OTHER')]),
      (error: unknown) => error instanceof SettingsError && !error.message.includes('s3cret'),
    );
  });
});
