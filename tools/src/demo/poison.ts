/** The records of `ragline demo poison`, and what each is expected to come to. */
import { randomUUIDv7 } from 'node:crypto';
import type { OrderEvent } from '@ragline/schemas/types.generated';
import { failpointHeader } from '@ragline/streams/failpoint';
import { duration } from '../parts/output.ts';

export type PoisonRecord = { key: string; value: Buffer; headers: Record<string, string>; event_id: string };
export type PoisonCase = {
  name: string;
  /** What will happen, in a person's words. */
  promise: string;
  needsFailpoints: boolean;
  /** The first is the one that fails; the others follow it in order. */
  records: PoisonRecord[];
};

export type PoisonParts = {
  tenant_id: string;
  user_id: string;
  encode: (event: OrderEvent) => Buffer;
  /** Waits of the group that reads them. */
  delaysMs: readonly number[];
  outageS: number;
  /** Makes an order's id. */
  newKey?: () => string;
};

const never = 2_147_483_000;

/** The six cases, each about an order of its own. */
export function poisonCases(parts: PoisonParts): PoisonCase[] {
  const { delaysMs, outageS, newKey = () => randomUUIDv7() } = parts;
  const worksAfter = sum(delaysMs.slice(0, 3));
  const deadAfter = sum(delaysMs);
  const order = (failpoints: (string | undefined)[]): PoisonRecord[] => {
    const id = newKey();
    return failpoints.map((failpoint, at) => recordOf(parts, id, at, failpoint));
  };
  const unreadable = (value: Buffer): PoisonRecord[] =>
    order([undefined]).map((record) => ({ ...record, value }));

  return [
    {
      name: 'garbage',
      promise: 'bytes that are no event: a letter at once (not_confluent)',
      needsFailpoints: false,
      records: unreadable(Buffer.from('this is no Avro')),
    },
    {
      name: 'unknown schema',
      promise: `a schema that the registry does not have: a letter at once (schema_unknown)`,
      needsFailpoints: false,
      records: unreadable(Buffer.concat([confluentHead(never), Buffer.from([0x02])])),
    },
    {
      name: 'fails, then works',
      promise: `fails three times, and is handled ${about(worksAfter)} after it came; no letter`,
      needsFailpoints: true,
      records: order(['fail:3']),
    },
    {
      name: 'always fails',
      promise: `tried ${delaysMs.length + 1} times, a letter ${about(deadAfter)} after it came; two followers of the order wait behind it`,
      needsFailpoints: true,
      records: order(['fail', undefined, undefined]),
    },
    {
      name: 'can never work',
      promise:
        'says so itself: a letter at once, tried once; two followers of the order wait behind it until somebody decides',
      needsFailpoints: true,
      records: order(['permanent', undefined, undefined]),
    },
    {
      name: 'outage',
      promise: `what it needs is away for ${outageS} s: its partition waits, no attempt is spent, then it is handled; no letter`,
      needsFailpoints: true,
      records: order([`unavailable:${outageS}`, undefined]),
    },
  ];
}

const steps = [
  ['order_created', 'pending', null],
  ['order_status_changed', 'confirmed', 'pending'],
  ['order_status_changed', 'preparing', 'confirmed'],
] as const;

/** The event of an order at its first, second or third step. */
function recordOf(
  { tenant_id, user_id, encode }: PoisonParts,
  id: string,
  at: number,
  failpoint: string | undefined,
): PoisonRecord {
  const [event_type, status, previous_status] = steps[at] ?? steps[0];
  const now = new Date().toISOString();
  const event_id = randomUUIDv7();
  const line = {
    product_id: randomUUIDv7(),
    name: 'Poisoned apple',
    quantity: 1,
    unit_price: 100,
    line_total: 100,
  };
  const event: OrderEvent = {
    event_id,
    event_type,
    occurred_at: now,
    tenant_id,
    user_id,
    actor_id: user_id,
    order: {
      id,
      tenant_id,
      user_id,
      status,
      items: [line],
      currency: 'EUR',
      subtotal: 100,
      discount: 0,
      total: 100,
      promo_code: null,
      version: at + 1,
      created_at: now,
      updated_at: now,
    },
    previous_status,
  };
  const headers = { id: event_id, event_type, tenant_id, user_id, 'content-type': 'application/avro' };
  return {
    key: id,
    value: encode(event),
    event_id,
    headers: failpoint === undefined ? headers : { ...headers, [failpointHeader]: failpoint },
  };
}

/** The five bytes before Avro. */
function confluentHead(schemaId: number): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(schemaId, 1);
  return head;
}

const sum = (numbers: readonly number[]) => numbers.reduce((all, one) => all + one, 0);
const about = (ms: number) =>
  `about ${ms < 90_000 ? duration(Math.ceil(ms / 1_000) * 1_000) : `${Math.round(ms / 60_000)} min`}`;
