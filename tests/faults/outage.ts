/** A dependency that is away for a while, behind a breaker: what a group that keeps order does meanwhile. */
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { createBreaker } from '@ragline/runtime/breaker';
import { createMetrics } from '@ragline/runtime/metrics';
import { anOrderEvent } from '@ragline/schemas/samples';
import type { OrderEvent } from '@ragline/schemas/types.generated';
import { eventually } from '../support/eventually.ts';
import { openGroup } from './own-group.ts';

export type OutageReport = {
  outage_ms: number;
  records: number;
  /** Handled while the dependency was away, by records that were already past it. */
  handled_during: number;
  letters: number;
  parked: number;
  /** The highest number that an attempt had. */
  attempts_max: number;
  handled: number;
  doubled: number;
  reordered: number;
  /** From the dependency's return to the last effect. */
  caught_up_ms: number;
  breaker_opened: boolean;
};

/** 60 orders of 5 steps: a third before the outage, a third within it, the rest after it. */
export async function outage(outageMs: number): Promise<OutageReport> {
  const dependency = await startDependency();
  const breaker = createBreaker({
    name: 'test-dependency',
    call: async (path: string) => {
      const answer = await fetch(`${dependency.url}${path}`, { signal: AbortSignal.timeout(1_000) });
      await answer.arrayBuffer();
      if (!answer.ok) throw new Error(`answered ${answer.status}`);
    },
    timeoutMs: 2_000,
    openMs: 1_000,
    metrics: createMetrics({ service: 'test' }),
  });
  const group = await openGroup({
    order: 'by-key',
    judge: (event) => breaker.fire(`/${event.event_id}`),
  });
  let hasOpened = false;
  const look = setInterval(() => {
    hasOpened ||= breaker.state() === 'open';
  }, 20);
  try {
    const orders = Array.from({ length: 60 }, () => randomUUIDv7());
    const steps = (from: number, to: number) =>
      Array.from({ length: to - from + 1 }, (_, at) => orders.map((id) => aStep(id, from + at))).flat();
    const handled = () => [...group.effects.values()].flat().length;

    await group.send(steps(1, 2));
    await eventually(() => assert.equal(handled(), 120), { withinMs: 20_000 });

    await dependency.stop();
    await group.send(steps(3, 4));
    // The length of the outage is what is being tested.
    await pause(outageMs);
    const duringAt = handled();
    const parked = await group.parked();
    const letters = await group.announced();

    await dependency.start();
    const backAt = performance.now();
    await group.send(steps(5, 5));
    await eventually(() => assert.equal(handled(), 300), { withinMs: 60_000 });
    const caughtUpMs = Math.round(performance.now() - backAt);
    const inOrder = [...group.effects.values()].filter((versions) => versions.join() === '1,2,3,4,5').length;
    return {
      outage_ms: outageMs,
      records: 300,
      handled_during: duringAt - 120,
      letters: letters + (await group.announced()),
      parked: parked + (await group.parked()),
      attempts_max: Math.max(...group.attempts),
      handled: (await group.inbox()).handled ?? 0,
      doubled:
        handled() - new Set([...group.effects].flatMap(([id, all]) => all.map((v) => `${id}${v}`))).size,
      reordered: orders.length - inOrder,
      caught_up_ms: caughtUpMs,
      breaker_opened: hasOpened,
    };
  } finally {
    clearInterval(look);
    breaker.stop();
    await group.close();
    await dependency.stop();
  }
}

export function assertHarmless(report: OutageReport): void {
  const { handled_during, letters, parked, attempts_max, handled, doubled, reordered, breaker_opened } =
    report;
  assert.deepEqual(
    { handled_during, letters, parked, attempts_max, handled, doubled, reordered, breaker_opened },
    {
      handled_during: 0,
      letters: 0,
      parked: 0,
      attempts_max: 1,
      handled: report.records,
      doubled: 0,
      reordered: 0,
      breaker_opened: true,
    },
    JSON.stringify(report),
  );
}

function aStep(orderId: string, version: number): OrderEvent {
  const event = anOrderEvent();
  return { ...event, order: { ...event.order, id: orderId, version } };
}

/** Answers 200 on one port, goes away, and comes back there. */
async function startDependency() {
  let server: Server | undefined;
  let port = 0;
  const start = async () => {
    server = createServer((_req, res) => res.end()).listen(port, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  };
  await start();
  return {
    url: `http://127.0.0.1:${port}`,
    start,
    async stop(): Promise<void> {
      if (!server?.listening) return;
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
