import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'mocha';

// By their addresses: what browsers load has no types.
const load = (name: string) => import(new URL(name, import.meta.url).href);

type Event = Record<string, unknown>;

describe('what the page at /chat knows of a conversation', () => {
  // biome-ignore lint/suspicious/noExplicitAny: see above.
  let talk: any;
  beforeEach(async () => {
    talk = (await load('./chat-talk.js')).createTalk();
  });

  const at = { message_id: 'm', turn_id: 't', generation: 1, occurred_at: '2026-01-01T00:00:00Z' };
  const delta = (sequence: number, text: string, more: Event = {}) =>
    talk.apply({ ...at, event_type: 'message_delta', sequence, text, ...more });
  const ended = (sequence: number, message: Event) =>
    talk.apply({ ...at, event_type: 'message_completed', sequence, message: { id: 'm', ...message } });

  it('puts the pieces together, once each', () => {
    delta(1, 'Half ');
    delta(2, 'and half');
    delta(2, 'and half');
    assert.equal(talk.get('m').content, 'Half and half');
    assert.equal(talk.get('m').state, 'running');
  });

  it('begins again when another worker does, and hears the old one no more', () => {
    delta(1, 'Old');
    talk.apply({ ...at, event_type: 'citation', sequence: 2, index: 1, title: 'A', source: 'a' });
    talk.apply({ ...at, event_type: 'message_restarted', sequence: 1, generation: 2 });
    assert.deepEqual([talk.get('m').content, talk.get('m').citations], ['', []]);
    delta(3, ' words');
    delta(2, 'New', { generation: 2 });
    assert.equal(talk.get('m').content, 'New');
  });

  it('believes the end, which has the whole message', () => {
    delta(4, 'the last piece');
    ended(5, { content: 'All of it, with the last piece', state: 'completed' });
    assert.equal(talk.get('m').content, 'All of it, with the last piece');
    assert.equal(delta(4, 'late'), undefined);
    assert.equal(talk.get('m').state, 'completed');
  });

  it('says that it has come in the middle, until the end brings the whole', () => {
    delta(4, 'of it');
    assert.equal(talk.get('m').content, '… of it');
    ended(5, { content: 'All of it', state: 'completed' });
    assert.equal(talk.get('m').content, 'All of it');
  });

  it('keeps an offer through the end of the answer that made it', () => {
    talk.apply({
      ...at,
      event_type: 'approval_required',
      sequence: 1,
      approval_id: 'a',
      quote: { total: 1 },
    });
    ended(2, { content: 'Please approve', state: 'completed', approval_id: 'a' });
    assert.deepEqual(talk.get('m').approval, { approval_id: 'a', quote: { total: 1 }, state: 'pending' });
  });

  it('has one offer that waits: a newer one takes its place', () => {
    const offer = (message_id: string, approval_id: string) =>
      talk.apply({ ...at, event_type: 'approval_required', message_id, sequence: 1, approval_id, quote: {} });
    offer('m', 'a');
    offer('n', 'b');
    assert.deepEqual([talk.get('m').approval.state, talk.get('n').approval.state], ['replaced', 'pending']);
  });

  it('does not fall back behind its events by what was read meanwhile', () => {
    delta(1, 'Further');
    talk.take({ id: 'm', turn_id: 't', role: 'assistant', state: 'running', content: '' });
    assert.equal(talk.get('m').content, 'Further');
    talk.take({ id: 'm', turn_id: 't', role: 'assistant', state: 'completed', content: 'Whole' });
    assert.equal(talk.get('m').content, 'Whole');
  });

  it('shows turns in their order, each question before its answer', () => {
    talk.take({ id: 'b', turn_id: '2', role: 'assistant', state: 'completed' });
    talk.take({ id: 'a', turn_id: '2', role: 'user', state: 'completed' });
    talk.take({ id: 'c', turn_id: '1', role: 'assistant', state: 'completed' });
    assert.deepEqual(
      talk.all().map(({ id }: { id: string }) => id),
      ['c', 'a', 'b'],
    );
  });
});

describe('the event stream of the page at /chat', () => {
  it('is understood in whatever pieces it comes', async () => {
    const { createParser } = await load('./chat-stream.js');
    const stream =
      'retry: 5\n\n: beat\n\nid: 1\nevent: a\ndata: {"x":\ndata: 1}\n\nid: 2\r\ndata: y\r\n\r\ndata: no end';
    const read = (size: number) => {
      const events: Event[] = [];
      const parse = createParser((event: Event) => events.push(event));
      for (let from = 0; from < stream.length; from += size) parse(stream.slice(from, from + size));
      return events;
    };
    const whole = [
      { type: 'a', data: '{"x":\n1}', id: '1' },
      { type: 'message', data: 'y', id: '2' },
    ];
    for (const size of [1, 2, 3, 7, stream.length]) assert.deepEqual(read(size), whole);
  });
});
