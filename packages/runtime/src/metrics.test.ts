import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { createMetrics } from './metrics.ts';

describe('metrics', () => {
  it('show the service, its own figures and those of the event loop', async () => {
    const metrics = createMetrics({ service: 'orders' });
    metrics.counter('ragline_orders_total', 'Orders.', ['outcome']).inc({ outcome: 'placed' }, 2);
    const text = await metrics.text();
    assert.match(text, /^ragline_orders_total\{outcome="placed",service="orders"\} 2$/m);
    assert.match(text, /^ragline_event_loop_utilization\{service="orders"\} [\d.]+/m);
    assert.match(text, /^nodejs_version_info/m);
  });

  it('are shared by all who ask for the same name', async () => {
    const metrics = createMetrics({ service: 'orders' });
    metrics.gauge('ragline_pool_size', 'Size.').set(1);
    metrics.gauge('ragline_pool_size', 'Size.').inc();
    assert.match(await metrics.text(), /^ragline_pool_size\{service="orders"\} 2$/m);
  });

  it('refuse a foreign name, and one that belongs to another kind', () => {
    const metrics = createMetrics({ service: 'orders' });
    assert.throws(() => metrics.counter('orders_total', 'Orders.'), TypeError);
    metrics.counter('ragline_orders_total', 'Orders.');
    assert.throws(() => metrics.gauge('ragline_orders_total', 'Orders.'), TypeError);
  });
});
