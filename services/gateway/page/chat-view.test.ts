import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';

type Node = { textContent: string };

/** As much of a node as the page writes. */
function aNode() {
  const children: (Node | string)[] = [];
  return {
    dataset: {},
    className: '',
    setAttribute() {},
    addEventListener() {},
    append: (...more: (Node | string)[]) => void children.push(...more),
    get textContent(): string {
      return children.map((it) => (typeof it === 'string' ? it : it.textContent)).join(' ');
    },
  };
}

describe('what the page at /chat shows', () => {
  before(() => Object.assign(globalThis, { document: { createElement: aNode } }));
  after(() => Reflect.deleteProperty(globalThis, 'document'));

  it('names the file of a source, and no address of the API', async () => {
    const { messageItem } = await import(new URL('./chat-view.js', import.meta.url).href);
    const citations = [
      { index: 1, title: 'Marinara', source: '/v1/products/7' },
      { index: 2, title: 'Opening hours', source: 'hours.md' },
    ];
    const message = { id: 'm', role: 'assistant', state: 'completed', content: '', tools: [], citations };
    const shown: string = messageItem(message, { onDecide() {} }).textContent;
    assert.ok(shown.includes('Marinara') && shown.includes('(hours.md)'), shown);
    assert.ok(!shown.includes('/v1/'), shown);
  });

  it('has in the card of an offer every word of the order that will be placed', async () => {
    // By its address: what browsers load has no types.
    const { messageItem } = await import(new URL('./chat-view.js', import.meta.url).href);
    const item = { quantity: 2, name: 'Margherita', line_total: 1900, notes: 'no basil' };
    const amounts = { currency: 'EUR', subtotal: 1900, discount: 0, total: 1900, promo_code: null };
    const approval = {
      approval_id: 'a',
      state: 'pending',
      quote: { ...amounts, items: [item], notes: 'Bring it to the back door of number 9.' },
    };
    const message = { id: 'm', role: 'assistant', state: 'completed', content: '', tools: [], citations: [] };
    const shown: string = messageItem({ ...message, approval }, { onDecide() {} }).textContent;
    for (const words of ['2 × Margherita', 'no basil', 'Bring it to the back door of number 9.', 'Approve']) {
      assert.ok(shown.includes(words), words);
    }
  });
});
