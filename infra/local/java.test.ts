import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { javaCandidates, parseJavaVersion } from './java.ts';

describe('finding a Java', () => {
  const outputs: [string, number, string][] = [
    ['openjdk version "25.0.2" 2026-01-20 LTS', 25, '25.0.2'],
    ['openjdk version "21" 2023-09-19', 21, '21'],
    ['java version "1.8.0_412"', 8, '1.8.0_412'],
    ['openjdk version "26-ea" 2026-03-17', 26, '26-ea'],
  ];
  for (const [output, major, version] of outputs) {
    it(`reads ${version} as ${major}`, () => {
      assert.deepEqual(parseJavaVersion(`${output}\nOpenJDK Runtime Environment`), { major, version });
    });
  }

  it('takes what is no Java for none', () => {
    assert.equal(parseJavaVersion('command not found'), undefined);
  });

  it('looks where it was told first, and only at what is there', () => {
    const env = { RAGLINE_JAVA_HOME: '/nowhere', JAVA_HOME: '/nowhere/else', PATH: '/nowhere/bin' };
    assert.deepEqual(javaCandidates(env, '/nowhere/jvm'), []);
  });
});
