/** A tenant of the test's own with its people, records straight into orders.v1, and what came of them. */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID, randomUUIDv7 } from 'node:crypto';
import { createCodec } from '@ragline/schemas/codec';
import { anOrderEvent } from '@ragline/schemas/samples';
import { topics } from '@ragline/schemas/topics';
import type { OrderEvent } from '@ragline/schemas/types.generated';
import { createKafka } from '@ragline/streams/kafka-client';
import pg from 'pg';
import { type RecordTap, startRecordTap } from '../../connectors/record-tap.ts';
import { type Session, signIn } from '../faults/session.ts';
import { eventually } from '../support/eventually.ts';
import { type HttpAnswer, type HttpRequest, httpTo } from '../support/http.ts';
import { stack } from '../support/stack.ts';

export type Scene = Awaited<ReturnType<typeof openScene>>;
export type Person = 'operator' | 'admin' | 'staff' | 'customer' | 'stranger';

const password = 'window-29-lamp';
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

export async function openScene() {
  const url = setting('RAGLINE_URL');
  const http = httpTo(url);
  const demoPassword = setting('RAGLINE_DEMO_PASSWORD');
  const operator = await signIn(url, 'ragline', 'operator@ragline.example', demoPassword);
  const slug = `test-${randomBytes(6).toString('hex')}`;
  const of = (role: string) => `${role}@${slug}.example`;
  const made = await http('POST', '/v1/tenants', {
    token: await operator.token(),
    body: { slug, name: 'Test', admin: { email: of('admin'), password } },
  });
  assert.equal(made.status, 201, made.text);
  const admin = await signIn(url, slug, of('admin'), password);
  const newUser = async (role: string): Promise<Session> => {
    const body = { email: of(role), password, roles: [role] };
    const answer = await http('POST', '/v1/users', { token: await admin.token(), body });
    assert.equal(answer.status, 201, answer.text);
    return signIn(url, slug, of(role), password);
  };
  const people: Record<Person, Session> = {
    operator,
    admin,
    staff: await newUser('staff'),
    customer: await newUser('customer'),
    stranger: await signIn(url, 'acme', 'admin@acme.example', demoPassword),
  };
  const tenantId = admin.tenantId;
  const kafka = createKafka({ ...stack().kafka, clientId: 'test', log: quiet });
  const producer = kafka.producer();
  await producer.connect();
  const codec = createCodec({ registryUrl: stack().registryUrl });
  const encode = await codec.encoder('order_v1');
  const owner = new pg.Pool({ connectionString: stack().databaseUrl, max: 2 });
  const tap = await startRecordTap({ kafka: stack().kafka, topics: [topics.deadLetters.name] });

  const call = async (who: Person, method: string, path: string, request: Omit<HttpRequest, 'token'> = {}) =>
    http(method, path, { ...request, token: await people[who].token() });

  return {
    slug,
    tenantId,
    userId: people.customer.userId,
    encode,
    call,
    /** The body, after asserting the status. */
    // biome-ignore lint/suspicious/noExplicitAny: as in tests/support/http.ts.
    async ask(who: Person, method: string, path: string, body?: unknown, expected = 200): Promise<any> {
      const answer = await call(who, method, path, body === undefined ? {} : { body });
      assert.equal(answer.status, expected, `${method} ${path}: ${answer.text}`);
      return answer.body;
    },
    /** An order of the tenant at each of its steps, one event a step. */
    anOrder(versions: number): OrderEvent[] {
      const id = randomUUIDv7();
      const of = { tenant_id: tenantId, user_id: people.customer.userId };
      return Array.from({ length: versions }, (_, at) => {
        const event = anOrderEvent(of);
        const order = { ...event.order, id, status: statuses[at] ?? 'completed', version: at + 1 };
        if (at === 0) return { ...event, order };
        const previous_status = statuses[at - 1] ?? null;
        return { ...event, event_type: 'order_status_changed' as const, order, previous_status };
      });
    },
    /** As the outbox would write them, in this order. */
    async send(records: readonly SentRecord[]): Promise<void> {
      await producer.send({ topic: topics.orders.name, acks: -1, messages: records.map(messageOf) });
    },
    /** Titles that the customer was told of these orders, in the order of telling, by order. */
    async told(): Promise<Map<string, string[]>> {
      const { rows } = await owner.query<{ order_id: string; titles: string[] }>(
        `SELECT order_id, array_agg(title ORDER BY created_at, id) AS titles FROM notifications.notification
          WHERE tenant_id = $1 AND audience = 'user' GROUP BY order_id`,
        [tenantId],
      );
      return new Map(rows.map(({ order_id, titles }) => [order_id, titles]));
    },
    /** The one letter that answers to the filter, once there is one. */
    // biome-ignore lint/suspicious/noExplicitAny: as above.
    async letter(filter: string, who: Person = 'operator'): Promise<any> {
      const id = await eventually(
        async () => {
          const { status, body, text } = await call(who, 'GET', `/v1/dead-letters?${filter}`);
          assert.equal(status, 200, text);
          assert.equal(body.data.length, 1, text);
          return body.data[0].id;
        },
        { withinMs: 30_000, everyMs: 100 },
      );
      const { body } = await call(who, 'GET', `/v1/dead-letters/${id}`);
      return body;
    },
    async inState(id: string, state: string): Promise<void> {
      await eventually(
        async () => {
          const { body, text } = await call('operator', 'GET', `/v1/dead-letters/${id}`);
          assert.equal(body.state, state, text);
        },
        { withinMs: 20_000, everyMs: 100 },
      );
    },
    /** Event types on dead_letters.v1 about a letter, in their order. */
    async events(id: string): Promise<string[]> {
      return eventsOf(codec, tap, id);
    },
    /** Records that the group gave up on in this topic, parked ones of this tenant. */
    async parked(): Promise<number> {
      const { rows } = await owner.query<{ records: number }>(
        'SELECT coalesce(sum(depth), 0)::int AS records FROM streams.parked_key WHERE tenant_id = $1',
        [tenantId],
      );
      return rows[0]?.records ?? 0;
    },
    async close(): Promise<void> {
      await tap.stop();
      await producer.disconnect();
      await owner.end();
    },
  };

  function messageOf({ event, key, value, headers }: SentRecord) {
    const own = event && {
      id: event.event_id,
      event_type: event.event_type,
      tenant_id: event.tenant_id,
      user_id: event.user_id,
    };
    return {
      key: key ?? event?.order.id ?? randomUUID(),
      value: value ?? (event === undefined ? null : encode(event)),
      headers: { 'content-type': 'application/avro', ...own, ...headers },
    };
  }
}

export type SentRecord = {
  event?: OrderEvent;
  key?: string;
  value?: Buffer;
  headers?: Record<string, string>;
};

const statuses = ['pending', 'confirmed', 'preparing', 'ready', 'completed'] as const;

/** What the customer is told at each step. */
export const titles = [
  'Your order was received',
  'Your order was confirmed',
  'Your order is being prepared',
  'Your order is ready',
  'Your order is completed',
];

export const group = 'notifications';

/** The version for If-Match. */
export function etagOf({ headers }: HttpAnswer): Record<string, string> {
  return { 'if-match': headers.get('etag') ?? '' };
}

async function eventsOf(
  codec: ReturnType<typeof createCodec>,
  tap: RecordTap,
  id: string,
): Promise<string[]> {
  const types: string[] = [];
  for (const { key, value } of tap.records) {
    if (key !== id || value === null) continue;
    const { value: event } = await codec.decode(value);
    types.push(String(Reflect.get(Object(event), 'event_type')));
  }
  return types;
}

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run this by npm test, or beside "npm start"`);
  return value;
}
