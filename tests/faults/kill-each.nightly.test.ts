/**
 * Every process killed or frozen while orders flow. Prints a line of JSON for each fault: what was
 * counted, and how long after the part was ready again (or woken) the next event was delivered.
 */
import { afterEach, describe, it } from 'mocha';
import type { Stack } from '../../infra/local/start-stack.ts';
import { upperBound } from './history.ts';
import { killAndAwait } from './kill.ts';
import { ownStack } from './own-stack.ts';
import { assertKept, openScene, type Scene } from './scene.ts';

const killed = [
  'orders-1',
  'notifications-1',
  'dead-letters-1',
  'gateway-1',
  'identity-1',
  'connect',
  'kafka',
  'postgres',
  'valkey',
  'registry',
];
const frozenMs = 60_000;
const afterwardsMs = 10_000;

describe('with orders flowing', function () {
  this.timeout(400_000);
  const stack = ownStack();
  let scene: Scene | undefined;

  afterEach(async () => {
    await scene?.abandon();
    scene = undefined;
  });

  for (const name of killed) {
    it(`loses, doubles and reorders nothing when ${name} is killed`, async () => {
      scene = await openSceneOf(stack());
      await scene.nextDelivery(Date.now(), 30_000);
      const killedAt = Date.now();
      await killAndAwait(stack().process(name), 120_000);
      const readyAt = Date.now();
      const deliveredAt = await scene.nextDelivery(readyAt, 120_000);
      // What goes wrong may show only when the part is used again for a while.
      await scene.nextDelivery(Date.now() + afterwardsMs, 120_000);
      const report = await scene.finish();
      print({
        fault: `kill -9 ${name}`,
        ready_ms: readyAt - killedAt,
        recovered_ms: deliveredAt - readyAt,
        ...report,
        bound: upperBound(report.delivered),
      });
      assertKept(report);
    });
  }

  it('loses, doubles and reorders nothing when one notifications instance is frozen for a minute', async () => {
    scene = await openSceneOf(stack());
    await scene.nextDelivery(Date.now(), 30_000);
    stack().process('notifications-1').kill('SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, frozenMs));
    stack().process('notifications-1').kill('SIGCONT');
    const wokenAt = Date.now();
    const deliveredAt = await scene.nextDelivery(wokenAt, 120_000);
    const report = await scene.finish();
    print({
      fault: `SIGSTOP ${frozenMs / 1000} s notifications-1`,
      recovered_ms: deliveredAt - wokenAt,
      ...report,
      bound: upperBound(report.delivered),
    });
    assertKept(report);
  });
});

const openSceneOf = ({ env }: Stack) => openScene(env.RAGLINE_URL ?? '', env.RAGLINE_DEMO_PASSWORD ?? '');

const print = (line: object) => console.log(JSON.stringify(line));
