import assert from 'node:assert/strict';
import { eventually } from '../support/eventually.ts';
import { httpTo } from '../support/http.ts';
import { judge, type Verdict } from './history.ts';
import { type Load, startLoad } from './load.ts';
import { type Session, signIn } from './session.ts';
import { type Watcher, watch } from './watcher.ts';

/** Two tenants that order and watch at the same time, so that a leak between them would be seen. */
const tenants = [
  { slug: 'demo', ordersPerSecond: 8 },
  { slug: 'acme', ordersPerSecond: 2 },
];

export type Report = {
  acknowledged: number;
  delivered: number;
  lost: number;
  doubled: number;
  reordered: number;
  foreign: number;
  gaps: number;
  reconnects: number;
  /** Effects of the group: notifications for staff, one for each order. */
  effects: number;
  effects_lost: number;
  effects_doubled: number;
};

export type Scene = {
  /** Resolves with the moment, in ms since the epoch, of the first delivery after `since`. */
  nextDelivery(since: number, withinMs: number): Promise<number>;
  /** Ends the load, waits until all that was acknowledged is seen, and counts. */
  finish(): Promise<Report>;
  /** Ends everything at once, for a test that failed. */
  abandon(): Promise<void>;
};

type Act = { staff: Session; watcher: Watcher; load: Load };

/** Starts watchers first and then the load, so that everything acknowledged is owed. */
export async function openScene(url: string, password: string): Promise<Scene> {
  const acts: Act[] = [];
  for (const { slug, ordersPerSecond } of tenants) {
    const staff = await signIn(url, slug, `staff@${slug}.example`, password);
    const customer = await signIn(url, slug, `customer@${slug}.example`, password);
    const products = await httpTo(url)('GET', '/v1/products?available=true&limit=1', {
      token: await staff.token(),
    });
    const watcher = await watch(staff);
    const load = startLoad(customer, staff, products.body.data[0].id, ordersPerSecond);
    acts.push({ staff, watcher, load });
  }
  const lastDelivery = () => Math.max(...acts.map(({ watcher }) => watcher.lastEventAt()));

  return {
    async nextDelivery(since, withinMs) {
      await eventually(() => lastDelivery() > since, { withinMs, everyMs: 5 });
      return lastDelivery();
    },
    async finish() {
      const reports: Report[] = [];
      for (const act of acts) reports.push(await settle(act));
      return sum(reports);
    },
    async abandon() {
      await Promise.allSettled(acts.flatMap(({ load, watcher }) => [load.stop(), watcher.stop()]));
    },
  };
}

async function settle({ staff, watcher, load }: Act): Promise<Report> {
  await load.stop();
  const verdict = () => judge(staff.tenantId, load.acknowledged, watcher.seen);
  const orders = new Set(load.acknowledged.map((step) => step.order_id));
  let notified = new Map<string, number>();
  // What is still on its way has a minute; what is missing then is lost, and the report says so.
  await eventually(() => verdict().lost.length === 0, { withinMs: 60_000 }).catch(() => {});
  await eventually(
    async () => {
      notified = await newOrderNotices(staff, orders);
      return notified.size === orders.size;
    },
    { withinMs: 60_000, everyMs: 500 },
  ).catch(() => {});
  await watcher.stop();
  return reportOf(verdict(), watcher, orders, notified);
}

function reportOf(
  verdict: Verdict,
  watcher: Watcher,
  orders: Set<string>,
  notified: Map<string, number>,
): Report {
  return {
    acknowledged: verdict.acknowledged,
    delivered: verdict.seen,
    lost: verdict.lost.length,
    doubled: verdict.doubled.length,
    reordered: verdict.reordered.length,
    foreign: verdict.foreign.length,
    gaps: watcher.gaps.length,
    reconnects: watcher.connects() - 1,
    effects: notified.size,
    effects_lost: [...orders].filter((id) => !notified.has(id)).length,
    effects_doubled: [...notified.values()].filter((count) => count > 1).length,
  };
}

/** How many notices staff has of each of these orders' creation. */
async function newOrderNotices(staff: Session, orders: Set<string>): Promise<Map<string, number>> {
  const http = httpTo(staff.url);
  const counts = new Map<string, number>();
  let cursor: string | null = '';
  while (cursor !== null) {
    const path: string = `/v1/notifications?limit=200${cursor && `&cursor=${encodeURIComponent(cursor)}`}`;
    const page = await http('GET', path, { token: await staff.token() });
    assert.equal(page.status, 200, page.text);
    for (const { order_id } of page.body.data) {
      if (orders.has(order_id)) counts.set(order_id, (counts.get(order_id) ?? 0) + 1);
    }
    cursor = page.body.next_cursor;
  }
  return counts;
}

function sum(reports: Report[]): Report {
  const names = Object.keys(reports[0] ?? {}) as (keyof Report)[];
  return Object.fromEntries(
    names.map((name) => [name, reports.reduce((total, report) => total + report[name], 0)]),
  ) as Report;
}

/** Throws with the whole report unless every promise was kept. */
export function assertKept(report: Report): void {
  const { lost, doubled, reordered, foreign, gaps, effects_lost, effects_doubled } = report;
  assert.deepEqual(
    { lost, doubled, reordered, foreign, gaps, effects_lost, effects_doubled },
    { lost: 0, doubled: 0, reordered: 0, foreign: 0, gaps: 0, effects_lost: 0, effects_doubled: 0 },
    JSON.stringify(report),
  );
}
