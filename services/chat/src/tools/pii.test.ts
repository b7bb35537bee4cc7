import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import type { ModelRequest } from '../model/model.ts';
import { isCardNumber, isIban } from './check-digits.ts';
import { maskedModel } from './masked-model.ts';
import { findPii, maskPii } from './pii.ts';

const masks: [text: string, masked: string, region?: string][] = [
  ['Write to ann.lee+pizza@mail.example.com, please.', 'Write to [email], please.'],
  ['My card is 4111 1111 1111 1111.', 'My card is [card].'],
  ['Card 5500-0000-0000-0004 or 378282246310005', 'Card [card] or [card]'],
  ['IBAN DE89 3704 0044 0532 0130 00, thanks', 'IBAN [iban], thanks'],
  ['gb82west12345698765432', '[iban]'],
  ['Call (213) 373-4253 or +49 30 901820!', 'Call [phone] or [phone]!'],
  ['Ruf 0151 12345678 an', 'Ruf [phone] an', 'DE'],
  ['a@example.com 4111111111111111 +49 30 901820', '[email] [card] [phone]'],
  // Not personal: other numbers, names of dishes, things that only look like it.
  ['2 pizzas at 12.50, order 20260101, table 17', '2 pizzas at 12.50, order 20260101, table 17'],
  ['Card 4111 1111 1111 1112', 'Card 4111 1111 1111 1112'],
  ['DE89 3704 0044 0532 0130 01', 'DE89 3704 0044 0532 0130 01'],
  ['me@home and @you', 'me@home and @you'],
  ['018f3c2a-7b1e-7c3d-9a4b-5c6d7e8f9a0b', '018f3c2a-7b1e-7c3d-9a4b-5c6d7e8f9a0b'],
  ['', ''],
];

describe('personal data', () => {
  for (const [text, masked, region = 'US'] of masks) {
    it(`of “${text}” leaves “${masked}”`, async () => {
      assert.equal(await maskPii(text, { region }), masked);
      assert.equal(await maskPii(masked, { region }), masked, 'masked once is masked for good');
    });
  }

  it('is told with its place and kind', async () => {
    assert.deepEqual(await findPii('x a@example.com'), [{ kind: 'email', start: 2, end: 15 }]);
  });

  it('of a text too long to look through is cut off with it', async () => {
    const masked = await maskPii(`${'word '.repeat(13_200)}a@example.com`);
    assert.ok(masked.endsWith('[cut]') && !masked.includes('@'));
  });

  it('is found in time in texts that are made to take long', async () => {
    for (const hostile of ['a.'.repeat(4_000), '1 '.repeat(4_000), 'DE11'.repeat(2_000), '@'.repeat(8_000)]) {
      await maskPii(hostile);
    }
  });
});

describe('numbers with check digits', () => {
  it('are cards by their Luhn sum, length and beginning', () => {
    for (const card of ['4242424242424242', '6011000990139424', '3530111333300000', '30569309025904']) {
      assert.ok(isCardNumber(card), card);
    }
    for (const other of ['4242424242424241', '1234567812345670', '0000000000000000', '424242', '']) {
      assert.ok(!isCardNumber(other), other);
    }
  });

  it('are IBANs by their remainder of 97', () => {
    for (const iban of ['FR1420041010050500013M02606', 'NL91ABNA0417164300', 'NO9386011117947'])
      assert.ok(isIban(iban));
    for (const other of ['FR1420041010050500013M02607', 'NL91', 'XX']) assert.ok(!isIban(other));
  });
});

describe('a model behind a mask', () => {
  it('sees what users wrote without personal data, and everything else as it is', async () => {
    const seen: string[] = [];
    const model = maskedModel(
      {
        contextTokens: 1,
        countTokens: () => 1,
        isOffline: true,
        async *stream({ messages }) {
          seen.push(...messages.map(({ content }) => content));
          yield { kind: 'text', text: 'ok' };
        },
      },
      {},
    );
    const request: ModelRequest = {
      purpose: 'chat',
      prompt: { name: 'test', hash: 'x' },
      messages: [
        { role: 'system', content: 'Our number: (213) 373-4253' },
        { role: 'user', content: 'Mine: (213) 373-4253' },
      ],
      tools: [],
      knowledge: [],
      maxOutputTokens: 1,
      signal: new AbortController().signal,
      who: { tenant_id: 't', user_id: 'u', conversation_id: null, turn_id: null },
    };
    for await (const event of model.stream(request)) assert.deepEqual(event, { kind: 'text', text: 'ok' });
    assert.deepEqual(seen, ['Our number: (213) 373-4253', 'Mine: [phone]']);
  });
});
