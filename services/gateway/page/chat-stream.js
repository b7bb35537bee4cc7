/**
 * The events of one conversation, as they come: opened again when it ends, each time after the last event that came, so
 * that nothing is missed in between. By fetch, since an EventSource cannot carry a token.
 */
import * as session from './session.js';

const firstWaitMs = 300;
const longestWaitMs = 10_000;
// The server is heard of every 15 s.
const silenceMaxMs = 45_000;

/**
 * @param {string} id of the conversation
 * @param {{ onState: (state: 'live' | 'waiting' | 'off', text: string) => void, onOpen: () => void,
 *   onEvent: (type: string, data: object) => void, onSignedOut: () => void }} options
 *   `onOpen`: what happens from now on comes as events
 */
export function follow(id, { onState, onOpen, onEvent, onSignedOut }) {
  let lastEventId;
  let tries = 0;
  let aborter;
  let timer;
  let silence;
  let isStopped = false;

  async function open() {
    clearTimeout(timer);
    aborter = new AbortController();
    onState('waiting', tries === 0 ? 'connecting' : 'reconnecting');
    heard();
    try {
      const answer = await ask(aborter.signal);
      if (isStopped) return;
      if (answer === undefined) return stop(onSignedOut);
      if (answer.status === 404) return stop();
      if (!answer.ok || !answer.body) throw new Error(`The server answered ${answer.status}`);
      tries = 0;
      onState('live', 'live');
      onOpen();
      await read(answer.body);
    } catch {
      // However it ended, it is opened again.
    }
    again();
  }

  async function ask(signal, isSecond = false) {
    const token = isSecond ? await session.refresh() : await session.token();
    if (!token) return undefined;
    const headers = { authorization: `Bearer ${token}`, accept: 'text/event-stream' };
    if (lastEventId) headers['last-event-id'] = lastEventId;
    const answer = await fetch(`/v1/conversations/${id}/events`, { headers, signal });
    return answer.status === 401 ? (isSecond ? undefined : ask(signal, true)) : answer;
  }

  async function read(body) {
    const parse = createParser((event) => {
      if (event.id !== undefined) lastEventId = event.id;
      if (event.data !== '') onEvent(event.type, JSON.parse(event.data));
    });
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || isStopped) return;
      heard();
      parse(value);
    }
  }

  function heard() {
    clearTimeout(silence);
    silence = setTimeout(() => aborter?.abort(), silenceMaxMs);
  }

  function again() {
    clearTimeout(silence);
    clearTimeout(timer);
    if (isStopped) return;
    tries += 1;
    const longest = Math.min(longestWaitMs, firstWaitMs * 2 ** Math.min(tries - 1, 6));
    onState('waiting', navigator.onLine ? 'reconnecting' : 'offline');
    timer = setTimeout(() => void open(), longest * (0.5 + Math.random() / 2));
  }

  function stop(then) {
    isStopped = true;
    clearTimeout(timer);
    clearTimeout(silence);
    removeEventListener('online', openNow);
    removeEventListener('offline', lost);
    aborter?.abort();
    onState('off', 'not connected');
    then?.();
  }

  const openNow = () => {
    if (!isStopped && tries > 0) void open();
  };
  const lost = () => aborter?.abort();
  addEventListener('online', openNow);
  addEventListener('offline', lost);
  void open();
  return { stop: () => stop() };
}

/** Takes an event stream piece by piece, as the HTML standard has it. */
export function createParser(onEvent) {
  let rest = '';
  let fields = empty();

  function line(text) {
    if (text === '') {
      if (fields.data !== undefined || fields.id !== undefined) {
        onEvent({ type: fields.event ?? 'message', data: fields.data ?? '', id: fields.id });
      }
      fields = empty();
      return;
    }
    const colon = text.indexOf(':');
    const name = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? '' : text.slice(colon + 1).replace(/^ /, '');
    if (name === 'data') fields.data = fields.data === undefined ? value : `${fields.data}\n${value}`;
    else if (name === 'event' || name === 'id') fields[name] = value;
  }

  return (text) => {
    const lines = (rest + text).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? '';
    for (const each of lines) line(each);
  };
}

const empty = () => ({ event: undefined, data: undefined, id: undefined });
