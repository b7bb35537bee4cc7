import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { inTenant, type Pool } from '@ragline/postgres/pool';
import { poolOf } from '@ragline/postgres/testing';
import { after, before, describe, it } from 'mocha';
import { ModelError } from '../model/model.ts';
import type { RetrievalRequest } from '../retrieval/retrieve.ts';
import {
  aChunk,
  aConversation,
  type Conversation,
  callerIn,
  type Desk,
  modelOf,
  openDesk,
} from './tools.support.ts';

const names = [
  'analyze_conversation',
  'apply_promos',
  'confirm',
  'generate_summary',
  'retrieve_menu',
  'search_knowledge_base',
  'validate_input',
];

describe('the tools', function () {
  this.timeout(60_000);
  let pool: Pool;
  let desk: Desk;
  let mine: Conversation;
  let asked: RetrievalRequest[] = [];
  const pizza = aChunk();
  const hours = aChunk({
    kind: 'faq',
    title: 'Opening hours',
    text: 'We open at ten. On Sundays at noon.',
    price: null,
  });

  before(async () => {
    pool = poolOf('ragline_chat', 4);
    mine = await aConversation(pool);
    const found = { cached: false, path: 'exact', candidates: 2, timings_ms: {} } as const;
    desk = await openDesk({
      pool,
      parts: {
        retriever: {
          async retrieve(request) {
            asked.push(request);
            return { chunks: request.server?.kinds?.[0] === 'menu' ? [pizza] : [pizza, hours], ...found };
          },
        },
        model: modelOf('It opens at ten [2]. Pizza is on the menu [1]. Nobody said this [9].'),
      },
    });
  });
  after(async () => {
    await desk?.stop();
    await pool?.end();
  });

  const run = async (name: string, args: object = {}, caller = callerIn(mine)) => {
    asked = [];
    const outcome = await desk.registry.call({ id: '1', name, arguments: JSON.stringify(args) }, caller);
    return { outcome, result: JSON.parse(outcome.content) };
  };
  const say = async (conversation: Conversation, ...texts: string[]) => {
    for (const [at, content] of texts.entries()) {
      await inTenant(pool, conversation.tenant_id, (client) =>
        client.query(
          `INSERT INTO chat.message (id, conversation_id, tenant_id, user_id, turn_id, position, role, content, state)
           VALUES ($1, $2, $3, $4, $1, $5, 'user', $6, 'completed')`,
          [
            randomUUIDv7(),
            conversation.conversation_id,
            conversation.tenant_id,
            conversation.user_id,
            at + 1,
            content,
          ],
        ),
      );
    }
  };

  it('are seven, and a model can be told of each', async () => {
    const specs = await desk.registry.specs(mine.tenant_id, ['customer']);
    assert.deepEqual(
      specs.map(({ name }) => name),
      names,
    );
    assert.ok(JSON.stringify(specs).length < 9_000, 'their descriptions leave room for the conversation');
  });

  it('retrieve_menu looks among the products alone, narrowed as asked for', async () => {
    const narrow = { category: 'pizza', max_price: 1_200, tags: ['Vegan'], without_allergens: [' Nuts '] };
    const { outcome, result } = await run('retrieve_menu', { query: 'something with cheese', ...narrow });
    assert.deepEqual(asked[0]?.server, { kinds: ['menu'] });
    assert.deepEqual(asked[0]?.narrow, {
      categories: ['pizza'],
      maxPrice: 1_200,
      tags: ['vegan'],
      withoutAllergens: ['nuts'],
    });
    assert.equal(asked[0]?.tenant_id, mine.tenant_id);
    const [item] = result.items;
    assert.deepEqual(
      [item.citation, item.product_id, item.price, item.available],
      [1, pizza.source_id, 950, true],
    );
    assert.deepEqual(outcome.ok && outcome.chunks, [pizza]);
    assert.equal(
      (await run('retrieve_menu', { query: 'x', kinds: ['policy'] })).result.error.code,
      'invalid_arguments',
    );
  });

  it('search_knowledge_base numbers its passages as the turn does', async () => {
    const numbers = new Map([
      [pizza.id, 4],
      [hours.id, 9],
    ]);
    const cite = (chunks: readonly { id: string }[]) => chunks.map(({ id }) => numbers.get(id) ?? 0);
    const { result } = await run('search_knowledge_base', { query: 'when' }, callerIn(mine, { cite }));
    assert.deepEqual(
      result.results.map(({ citation }: { citation: number }) => citation),
      [4, 9],
    );
    assert.deepEqual(result.results[1].text, hours.text);
  });

  it('apply_promos finds the best price by asking for each, and says why others do not apply', async () => {
    const dish = randomUUIDv7();
    desk.fake.price(dish, 1_000);
    desk.fake.promote({ code: 'TEN', percent: 10, minimum: 0 });
    desk.fake.promote({ code: 'HALF', percent: 50, minimum: 5_000 });
    const items = [{ product_id: dish, quantity: 2 }];
    const { result } = await run('apply_promos', { items, promo_code: 'mine' });
    assert.deepEqual([result.applied, result.quote.total, result.quote.discount], ['TEN', 1_800, 200]);
    assert.deepEqual(result.refused, [
      { code: 'MINE', reason: 'unknown' },
      { code: 'HALF', reason: 'minimum_not_met' },
    ]);
    assert.ok(!('quote_token' in result.quote));
    const more = await run('apply_promos', { items: [{ product_id: dish, quantity: 6 }] });
    assert.deepEqual([more.result.applied, more.result.quote.total], ['HALF', 3_000]);
    const listed = (await run('apply_promos', {})).result;
    assert.equal(listed.quote, null);
    assert.deepEqual(
      listed.running.map(({ code, minimum }: { code: string; minimum: number }) => [code, minimum]),
      [
        ['TEN', 0],
        ['HALF', 5_000],
      ],
    );
  });

  it('apply_promos and confirm tell the model what cannot be ordered, and when nobody answers', async () => {
    const items = [{ product_id: randomUUIDv7(), quantity: 1 }];
    for (const name of ['apply_promos', 'confirm']) {
      assert.equal((await run(name, { items })).result.error.code, 'not_available');
    }
    desk.fake.faults(() => 503);
    assert.equal((await run('confirm', { items })).result.error.code, 'unavailable');
    desk.fake.faults(() => undefined);
  });

  it('confirm does not take a code that does not apply for one that is not there', async () => {
    const dish = randomUUIDv7();
    desk.fake.price(dish, 1_000);
    const { outcome, result } = await run('confirm', {
      items: [{ product_id: dish, quantity: 1 }],
      promo_code: 'NO',
    });
    assert.ok(!outcome.ok);
    assert.deepEqual(
      [result.error.code, result.error.refused[0].reason, result.error.quote.total],
      ['promotion_refused', 'unknown', 1_000],
    );
  });

  it('confirm shows everything that will be in the order', async () => {
    const dish = randomUUIDv7();
    desk.fake.price(dish, 1_000);
    const items = [{ product_id: dish, quantity: 1, notes: 'well done' }];
    const { outcome, result } = await run('confirm', { items, notes: 'ring twice' });
    assert.deepEqual(
      [result.status, result.quote.notes, result.quote.items[0].notes],
      ['approval_required', 'ring twice', 'well done'],
    );
    assert.deepEqual(outcome.ok && outcome.approval, {
      approval_id: result.approval_id,
      quote: result.quote,
    });
  });

  it('analyze_conversation tells mood, intent, urgency and language', async () => {
    const angry = await aConversation(pool);
    await say(angry, 'Hello, how are you?', 'My food never arrived, this is terrible and awful!!');
    const { result } = await run('analyze_conversation', {}, callerIn(angry));
    assert.equal(result.sentiment.label, 'negative');
    assert.deepEqual(
      [result.sentiment.trend, result.intent, result.urgency, result.language],
      ['worse', 'complaint', 'high', 'en'],
    );
    const german = await aConversation(pool);
    await say(german, 'Ich möchte gerne zwei Pizzen bestellen', 'ja');
    const other = await run('analyze_conversation', {}, callerIn(german));
    assert.deepEqual(
      [other.result.intent, other.result.language, other.result.sentiment.label],
      ['order', 'de', 'unknown'],
    );
  });

  it('analyze_conversation believes a model that says something usable, and no other', async () => {
    const talk = await aConversation(pool);
    await say(talk, 'Der Kellner war so freundlich');
    const { model } = desk.parts;
    const judged = { sentiment: 'positive', intent: 'smalltalk', urgency: 'low', language: 'de' };
    const answers = [
      JSON.stringify(judged),
      `Here: \`\`\`${JSON.stringify(judged)}\`\`\``,
      'I cannot say.',
      '{"sentiment":"great"}',
    ];
    const labels: string[] = [];
    for (const answer of answers) {
      desk.parts.model = { ...modelOf(answer), isOffline: false };
      const { result } = await run('analyze_conversation', {}, callerIn(talk));
      labels.push(result.sentiment.label);
    }
    desk.parts.model = model;
    assert.deepEqual(labels, ['positive', 'positive', 'unknown', 'unknown']);
  });

  it('generate_summary cites what it sums up, with or without a model', async () => {
    const asking = { about: 'documents', query: 'opening hours' };
    const { result } = await run('generate_summary', asking);
    assert.equal(result.summary, 'It opens at ten [2]. Pizza is on the menu [1]. Nobody said this.');
    assert.deepEqual(
      result.sources.map(({ document_id }: { document_id: string }) => document_id),
      [pizza.source_id, hours.source_id],
    );
    const { model } = desk.parts;
    desk.parts.model = {
      ...model,
      // biome-ignore lint/correctness/useYield: it fails before its first word.
      async *stream() {
        throw new ModelError('model_unavailable', 'away');
      },
    };
    const without = await run('generate_summary', { ...asking, max_words: 20 });
    desk.parts.model = model;
    assert.match(without.result.summary, /^Tomato, mozzarella and basil\. \[1\] We open at ten\. \[2\]/);
  });

  it('generate_summary tells the turn what its model has used', async () => {
    const used: unknown[] = [];
    const caller = { ...callerIn(mine), spent: (usage: unknown) => void used.push(usage) };
    await run('generate_summary', { about: 'documents', query: 'opening hours' }, caller);
    assert.deepEqual(used, [{ input_tokens: 1, output_tokens: 1 }]);
  });

  it('generate_summary sums up a conversation, and says when there is none', async () => {
    const talk = await aConversation(pool);
    assert.equal(
      (await run('generate_summary', { about: 'conversation' }, callerIn(talk))).result.error.code,
      'nothing_to_summarise',
    );
    await say(talk, 'I want a pizza without nuts');
    const { result } = await run('generate_summary', { about: 'conversation' }, callerIn(talk));
    assert.ok(result.summary.length > 0);
    assert.deepEqual(result.sources, []);
  });

  it('validate_input masks personal data and finds abuse, and gives neither back', async () => {
    const text = 'I am Anna Miller, a@example.com, card 4111 1111 1111 1111, you shit';
    const { result } = await run('validate_input', { text });
    assert.equal(result.masked, 'I am [name], [email], card [card], you shit');
    assert.deepEqual(result.pii, [
      { kind: 'email', count: 1 },
      { kind: 'card', count: 1 },
      { kind: 'name', count: 1 },
    ]);
    assert.deepEqual([result.ok, result.moderation], [false, { flagged: true, count: 1 }]);
    assert.deepEqual((await run('validate_input', { text: 'Two pizzas, please' })).result.ok, true);
  });
});
