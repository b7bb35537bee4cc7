/** The assistant on the whole stack, without any key: what a customer asks, is told, and orders. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'mocha';
import type { Session } from '../faults/session.ts';
import { openSocket } from '../security/scene.ts';
import { eventually } from '../support/eventually.ts';
import { httpTo } from '../support/http.ts';
import {
  type Answer,
  answerOf,
  isEnd,
  openTalk,
  sampleUser,
  setting,
  type Talk,
  untilEnd,
} from './chat-scene.ts';

describe('the assistant', function () {
  this.timeout(60_000);
  let customer: Session;
  let staff: Session;
  let stranger: Session;

  before(async () => {
    customer = await sampleUser('customer@demo');
    staff = await sampleUser('staff@demo');
    stranger = await sampleUser('customer@acme');
  });

  describe("asked the README's questions, in their order", () => {
    const questions = sampleQuestions();
    const answers: Answer[] = [];
    let talk: Talk;
    const answer = (to: number): Answer => {
      const found = answers[to - 1];
      assert.ok(found, `question ${to} was answered`);
      return found;
    };

    before(async () => {
      talk = await openTalk(customer);
      for (const question of questions) answers.push(await talk.ask(question));
    });

    it('answers each in pieces, and keeps what it streamed', async () => {
      assert.equal(questions.length, 10);
      for (const [at, { end, message, text, events }] of answers.entries()) {
        assert.equal(end, 'message_completed', questions[at]);
        assert.equal(text, message.content);
        assert.ok(events.filter(({ type }) => type === 'message_delta').length >= 1);
        assert.ok(events.every(({ id }) => id !== undefined));
        const sequences = events.map(({ data }) => data.sequence);
        assert.deepEqual(
          sequences,
          sequences.toSorted((a, b) => a - b),
        );
      }
      const kept = (await talk.messages()).filter(({ role }) => role === 'assistant');
      assert.deepEqual(
        kept.map(({ content }) => content),
        answers.map(({ text }) => text),
      );
    });

    for (const [to, said, source] of [
      [1, /12:00 to 21:30/, 'Opening hours'],
      [2, /2\.50/, 'Delivery'],
      [3, /Marinara(.|\n)*Verdure Grigliate/, 'Marinara'],
      [4, /Insalata Mista/, 'Insalata Mista'],
      [5, /egg, gluten and milk(.|\n)*Not among them: nuts\./, 'Tiramisù'],
      [6, /refund it in full/, 'Cancellations and refunds'],
    ] as const) {
      it(`answers question ${to} from what the house has written, and says where`, () => {
        const { text, citations } = answer(to);
        assert.match(text, said);
        const cited = citations.find(({ title }) => title === source);
        assert.ok(cited, `${source} is cited, of ${citations.map(({ title }) => title).join(', ')}`);
        assert.ok(text.includes(`[${cited.index}]`));
      });
    }

    it('says that it does not know where nothing is written', () => {
      assert.match(answer(7).text, /I don't know/);
      assert.deepEqual(answer(7).citations, []);
    });

    it('says once that it is the offline mode', () => {
      assert.equal(answers.filter(({ text }) => /Offline mode/.test(text)).length, 1);
      assert.ok(answers.every(({ message }) => message.model === 'offline'));
    });

    it('prices a basket with its promotion, orders nothing before the approval, and then once', async () => {
      const orders = await openSocket('customer@demo', '/ws/orders');
      assert.ok(answer(9).tools.includes('apply_promos'));
      assert.match(answer(9).text, /Discount \(BENVENUTO10\)/);
      const { approval } = answer(10);
      assert.ok(approval, 'an approval was asked for');
      assert.equal(approval.quote.promo_code, 'BENVENUTO10');
      assert.ok(approval.quote.discount > 0);
      const names = approval.quote.items.map(({ name, quantity }) => `${quantity} ${name}`);
      assert.deepEqual(names.toSorted(), ['1 Limonata', '2 Margherita']);
      assert.deepEqual(orders.orders(), []);

      const events = await talk.stream('GET', '/events');
      const decided = await talk.decide(approval.approval_id, 'approve');
      const again = await talk.decide(approval.approval_id, 'approve');
      const other = await talk.decide(approval.approval_id, 'reject');
      assert.equal(decided.status, 202, decided.text);
      assert.deepEqual(again.body, decided.body);
      assert.equal(other.body.code, 'already_handled');
      const { turn_id } = decided.body;
      const isOver = (it: Parameters<typeof isEnd>[0]) => isEnd(it) && it.data.turn_id === turn_id;
      const done = answerOf((await untilEnd(events, isOver)).filter(({ data }) => data.turn_id === turn_id));
      assert.match(done.text, /Your order is placed/);

      await eventually(() => assert.equal(orders.orders().length, 1));
      const [id] = orders.orders();
      const order = await talk.call('GET', `/v1/orders/${id}`);
      assert.equal(order.body.total, approval.quote.total);
      assert.equal(order.body.promo_code, 'BENVENUTO10');
      assert.ok(done.text.includes(String(id)));
      assert.equal(orders.orders().length, 1);
      orders.close();
    });
  });

  it('orders nothing when its offer is rejected', async () => {
    const talk = await openTalk(customer);
    const { approval } = await talk.ask('I would like to order one Focaccia');
    assert.ok(approval);
    const { body } = await talk.decide(approval.approval_id, 'reject');
    const said = await eventually(async () => {
      const message = (await talk.messages()).find(({ id }) => id === body.message_id);
      assert.equal(message?.state, 'completed');
      return message?.content ?? '';
    });
    assert.match(said, /ordered nothing/);
  });

  it('says a new price soon after it was changed', async () => {
    const http = httpTo(customer.url);
    const name = `Crostata ${randomWord()}`;
    const product = {
      name,
      price: 610,
      currency: 'EUR',
      description: 'Tart with apricots',
      category: 'desserts',
    };
    const made = await http('POST', '/v1/products', { token: await staff.token(), body: product });
    assert.equal(made.status, 201, made.text);
    const talk = await openTalk(customer);
    const says = (price: string) =>
      eventually(
        async () => assert.match((await talk.ask(`How much is the ${name}?`)).text, new RegExp(price)),
        {
          withinMs: 20_000,
        },
      );
    try {
      await says('6\\.10 €');
      const changed = await http('PATCH', `/v1/products/${made.body.id}`, {
        token: await staff.token(),
        body: { price: 745 },
      });
      assert.equal(changed.status, 200, changed.text);
      await says('7\\.45 €');
    } finally {
      await http('DELETE', `/v1/products/${made.body.id}`, { token: await staff.token() });
    }
  });

  describe('whose events somebody follows', () => {
    it('goes on at another instance, right behind the last event that came', async () => {
      const [first, second] = [setting('URL_CHAT_1'), process.env.URL_CHAT_2 ?? setting('URL_CHAT_1')];
      const talk = await openTalk(customer, first);
      const cut = new AbortController();
      const whole = await talk.ask('Which pizzas are vegan?');
      const [began] = await untilEnd(
        await talk.stream('POST', '/messages', {
          body: { content: 'Which desserts are vegan?' },
          signal: cut.signal,
        }),
        () => true,
      );
      cut.abort();
      assert.ok(began?.id);
      const rest = await untilEnd(await talk.stream('GET', '/events', { lastEventId: began.id, at: second }));
      const { text, message } = answerOf([began, ...rest]);
      assert.equal(text, message.content);
      assert.notEqual(message.id, whole.message.id);
      const sequences = [began, ...rest].map(({ data }) => data.sequence);
      assert.deepEqual(
        sequences,
        sequences.map((_, at) => at + 1),
      );
      // And from further back, the whole of the turn before as well.
      const earlier = whole.events.at(0)?.id ?? '';
      const isLast = (it: Parameters<typeof isEnd>[0]) => isEnd(it) && it.data.message_id === message.id;
      const both = await untilEnd(
        await talk.stream('GET', '/events', { lastEventId: earlier, at: second }),
        isLast,
      );
      const ids = (events: readonly { data: { event_id: string } }[]) =>
        events.map(({ data }) => data.event_id);
      assert.deepEqual(ids(both), [...ids(whole.events.slice(1)), ...ids([began, ...rest])]);
    });

    it('tells them on the sockets too: its own, and the channel of the conversation', async () => {
      const talk = await openTalk(customer);
      const live = await openSocket('customer@demo');
      const chat = await openSocket('customer@demo', '/ws/chat');
      const other = await openSocket('customer@acme');
      const channel = `conversation:${talk.id}`;
      live.send({ type: 'subscribe', id: '1', channel });
      other.send({ type: 'subscribe', id: '1', channel });
      await eventually(() => live.messages.some(({ type, id }) => type === 'ok' && id === '1'));
      chat.send({ type: 'message', id: 'q1', conversation_id: talk.id, content: 'Are dogs allowed?' });
      const textOn = ({ messages }: typeof live): string => {
        const events = messages.filter(({ type }) => type === 'event').map(({ data }) => data as unknown);
        const ours = events as { event_type: string; text?: string }[];
        assert.ok(ours.some(({ event_type }) => event_type === 'message_completed'));
        return ours.map(({ text }) => text ?? '').join('');
      };
      const said = await eventually(() => textOn(live), { withinMs: 20_000 });
      assert.match(said, /terrace/);
      assert.equal(await eventually(() => textOn(chat)), said);
      assert.equal(other.messages.filter(({ type }) => type === 'event').length, 0);
      for (const socket of [live, chat, other]) socket.close();
    });
  });

  it('shows a conversation to nobody but its owner', async () => {
    const talk = await openTalk(customer);
    await talk.ask('Which pizzas are vegan?');
    const approval = '01a205ce-2be2-7e09-a506-4adcc610daba';
    for (const session of [stranger, staff]) {
      const http = httpTo(session.url);
      const token = await session.token();
      for (const [method, path, body] of [
        ['GET', talk.path],
        ['GET', `${talk.path}/messages`],
        ['GET', `${talk.path}/events`],
        ['POST', `${talk.path}/messages`, { content: 'Hello' }],
        ['POST', `${talk.path}/stop`, {}],
        ['POST', `${talk.path}/approvals/${approval}`, { decision: 'approve' }],
      ] as const) {
        const answer = await http(method, path, { token, ...(body === undefined ? {} : { body }) });
        assert.equal(answer.status, 404, `${method} ${path}: ${answer.text}`);
      }
      const listed = await http('GET', '/v1/conversations?limit=100', { token });
      assert.ok(!listed.text.includes(talk.id));
    }
  });

  it('answers a tenant from what that tenant has written', async () => {
    const asked = await (await openTalk(stranger)).ask('Does the tiramisù contain nuts?');
    const own = await httpTo(stranger.url)('GET', '/v1/products?limit=100', {
      token: await customer.token(),
    });
    const ids = new Set(own.body.data.map(({ id }: { id: string }) => id));
    assert.ok(asked.citations.every(({ document_id }) => !ids.has(document_id)));
  });
});

/** The numbered list of the README's section on the assistant. */
function sampleQuestions(): string[] {
  const readme = readFileSync(join(import.meta.dirname, '..', '..', 'README.md'), 'utf8');
  const [, section = ''] = /\n## Ask the assistant\n([\s\S]*?)\n## /.exec(readme) ?? [];
  return [...section.matchAll(/^\d+\. (.+)$/gm)].map(([, question = '']) => question);
}

const randomWord = () =>
  Array.from(randomBytes(7), (byte, at) => (at % 2 === 0 ? 'bdfglmnrstvz' : 'aeiou').charAt(byte % 5)).join(
    '',
  );
