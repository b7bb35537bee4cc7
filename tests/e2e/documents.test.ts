/** The documents that machines read: true, whole and clean, by the judges that others use too. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { AvroSchemaParser } from '@asyncapi/avro-schema-parser';
import { Parser } from '@asyncapi/parser';
import { allTopics } from '@ragline/schemas/topics';
import { before, describe, it } from 'mocha';
import { httpTo } from '../support/http.ts';
import {
  faultsOf,
  isObject,
  type Json,
  listAt,
  objectAt,
  operationsOf,
  validatorOf,
} from './openapi-faults.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..', '..');
const origin = setting('RAGLINE_URL');
const http = httpTo(origin);

let openapi: Json;
let asyncapi: Json;
before(async () => {
  openapi = (await http<Json>('GET', '/openapi.json')).body;
  asyncapi = (await http<Json>('GET', '/asyncapi.json')).body;
});

describe('the OpenAPI document', () => {
  it('has examples that fit, links that lead somewhere, and a word on everything', () => {
    assert.ok(operationsOf(openapi).length > 80, 'it has the operations of all services');
    assert.deepEqual(faultsOf(openapi), []);
  });

  it('is judged so by rules that bite', () => {
    const spoilt = JSON.parse(JSON.stringify(openapi));
    const order = spoilt.paths['/v1/orders'].post;
    order.requestBody.content['application/json'].example.items[0].quantity = 0;
    order.responses['201'].links.order.operationId = 'nobody';
    order.tags = ['gone'];
    delete order.responses['201'].content['application/json'].example;
    assert.deepEqual(
      faultsOf(spoilt).map((fault) => fault.replace(/:.*(must|leads)/, ' … $1')),
      [
        'tag gone is new',
        'POST /v1/orders body application/json … must be >= 1',
        'POST /v1/orders 201 application/json has no example',
        'POST /v1/orders … leads nowhere',
      ],
    );
  });

  it('is clean under redocly', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ragline-documents-'));
    const file = join(folder, 'openapi.json');
    await writeFile(file, JSON.stringify(openapi));
    const cli = join(root, 'node_modules', '@redocly', 'cli', 'bin', 'cli.js');
    // It judges, and tells nobody of it.
    const env = { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' };
    const args = [cli, 'lint', file, '--config', join(root, 'redocly.yaml'), '--format', 'json'];
    const { stdout } = await run(process.execPath, args, { env, maxBuffer: 16 * 1024 * 1024 }).catch(
      (error) => error,
    );
    await rm(folder, { recursive: true });
    assert.deepEqual(JSON.parse(stdout).problems, []);
  });

  it('has what the services have: every operation is there, and no path has another', async () => {
    const operations = operationsOf(openapi);
    const notes = await Promise.all([...new Set(operations.map(({ path }) => path))].map(noteOn));
    assert.deepEqual(notes.flat(), []);

    /** What is wrong with a path: asked without a token, by its methods and by one that it has not. */
    async function noteOn(path: string): Promise<string[]> {
      const concrete = path.replace(/\{\w+\}/g, '0199c0de-0000-7000-8000-000000000000');
      const pattern = (template: string) => new RegExp(`^${template.replace(/\{\w+\}/g, '[^/]+')}$`);
      const own = operations.filter((it) => pattern(it.path).test(concrete));
      const other = ['put', 'delete', 'patch', 'post'].find(
        (method) => !own.some((it) => it.method === method),
      );
      const refused = await http((other ?? '').toUpperCase(), concrete, { body: {} });
      const allowed = (refused.headers.get('allow') ?? '').split(', ').filter((it) => it !== 'HEAD');
      const expected = own.map(({ method }) => method.toUpperCase());
      const notes = refused.status === 405 ? [] : [`${other} ${path} is answered ${refused.status}, not 405`];
      if (sorted(allowed) !== sorted(expected)) {
        notes.push(`${path} offers ${sorted(allowed)} and is said to offer ${sorted(expected)}`);
      }
      for (const { id, method, value } of operations.filter((it) => it.path === path)) {
        if (!Array.isArray(value.security) || value.security.length === 0) continue;
        const { status } = await http(method.toUpperCase(), concrete, method === 'get' ? {} : { body: {} });
        if (status !== 401) notes.push(`${id} without a token is answered ${status}`);
      }
      return notes;
    }
  });
});

describe('the AsyncAPI document', () => {
  it('is valid by the AsyncAPI parser, without a warning', async () => {
    const parser = new Parser();
    parser.registerSchemaParser(AvroSchemaParser());
    const parsed = await parser.parse(JSON.stringify(asyncapi));
    assert.ok(parsed.document, JSON.stringify(parsed.diagnostics));
    assert.deepEqual(parsed.diagnostics, []);
  });

  it('is judged so by a parser that bites', async () => {
    const channels = { ws: { address: '/ws' } };
    const operations = { broken: { action: 'send', channel: { $ref: '#/channels/gone' } } };
    const info = { title: 'Spoilt', version: '1' };
    const { diagnostics } = await new Parser().parse({ asyncapi: '3.1.0', info, channels, operations });
    assert.ok(
      diagnostics.some(({ message }) => message.includes('gone')),
      JSON.stringify(diagnostics),
    );
  });

  it('has an example of each message that fits it', () => {
    const fault = validatorOf(asyncapi, { isClosed: true });
    const messages = Object.entries(objectAt(objectAt(asyncapi, 'components'), 'messages'));
    // The heartbeat is the connector's own, and nobody reads it.
    const faults = messages.flatMap(([name, message]) => {
      const { contentType, payload, headers, examples } = isObject(message) ? message : {};
      if (name === 'heartbeat') return [];
      if (contentType !== 'application/json') return exampleFaults(name, headers, headers);
      return exampleFaults(name, payload, { examples: listAt({ examples }, 'examples').map(payloadOf) });
    });
    assert.ok(messages.length > 30);
    assert.deepEqual(faults, []);

    function exampleFaults(name: string, schema: unknown, from: unknown): string[] {
      const examples = listAt(isObject(from) ? from : {}, 'examples');
      if (examples.length === 0) return [`${name} has no example`];
      return examples.flatMap((it) => fault(schema, it) ?? []).map((told) => `${name}: ${told}`);
    }
  });

  it('has every topic, and every socket', () => {
    const channels = Object.values(objectAt(asyncapi, 'channels')).filter(isObject);
    const addresses = new Set(channels.map(({ address }) => address));
    const expected = [...allTopics.map(({ name }) => name), '/ws', '/ws/orders', '/ws/chat'];
    assert.deepEqual(
      expected.filter((address) => !addresses.has(address)),
      [],
    );
  });
});

describe('the documents', () => {
  it('are sent once: zipped, and then only when they have changed', async () => {
    for (const path of ['/openapi.json', '/asyncapi.json', '/llms.txt']) {
      const first = await http('GET', path, { headers: { 'accept-encoding': 'gzip' } });
      assert.equal(first.headers.get('content-encoding'), 'gzip', path);
      const etag = first.headers.get('etag') ?? '';
      assert.equal((await http('GET', path, { headers: { 'if-none-match': etag } })).status, 304, path);
    }
  });

  it('are named by llms.txt, whose every link is answered', async () => {
    const { text, headers } = await http('GET', '/llms.txt');
    assert.match(headers.get('content-type') ?? '', /^text\/plain/);
    assert.match(text, /^# RAGline\n\n> /);
    const links = [...text.matchAll(/\[[^\]]+\]\(([^)]+)\)/g)].map(([, link = '']) => link);
    for (const needed of ['/openapi.json', '/asyncapi.json']) assert.ok(links.includes(needed), needed);
    for (const link of links) assert.equal((await http('GET', link)).status, 200, link);
    // And what it tells to call is there to be called.
    const known = new Set(operationsOf(openapi).map(({ id }) => id));
    const told = [...text.matchAll(/`((?:GET|POST) \/v1[^`?]*)`/g)].map(([, call = '']) => call);
    assert.deepEqual(
      told.filter((call) => !known.has(call)),
      [],
    );
  });
});

const sorted = (names: readonly string[]) => [...new Set(names)].sort().join(' ');
const payloadOf = (example: unknown) => (isObject(example) ? example.payload : undefined);

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; see "npx ragline env"`);
  return value;
}
