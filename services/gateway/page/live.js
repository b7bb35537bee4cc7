/**
 * The socket: opened with a ticket, opened again when it closes, each time from the cursor of the last thing
 * seen, so that nothing is missed in between.
 */
import * as api from './api.js';
import * as session from './session.js';

const firstWaitMs = 300;
const longestWaitMs = 10_000;
// The server tells of itself every 15 s.
const silenceMaxMs = 45_000;

/**
 * @param {{ since?: string, onState: (state: 'live' | 'waiting' | 'off', text: string) => void,
 *   onEvent: (message: object) => void, onGap: () => Promise<string | undefined>, onSignedOut: () => void }} options
 */
export function follow({ since, onState, onEvent, onGap, onSignedOut }) {
  let cursor = since;
  let socket;
  let timer;
  let silence;
  let tries = 0;
  let nextId = 0;
  let isStopped = false;

  const send = (message) => {
    nextId += 1;
    if (socket?.readyState === WebSocket.OPEN)
      socket.send(JSON.stringify({ ...message, id: String(nextId) }));
  };

  async function open() {
    clearTimeout(timer);
    onState('waiting', tries === 0 ? 'connecting' : 'reconnecting');
    try {
      const ticket = await api.ticket();
      if (isStopped) return;
      const url = new URL('/ws', location.href);
      url.protocol = url.protocol.replace('http', 'ws');
      url.searchParams.set('ticket', ticket);
      const opened = new WebSocket(url);
      socket = opened;
      opened.addEventListener('message', ({ data }) => {
        if (opened === socket) void onMessage(JSON.parse(data));
      });
      opened.addEventListener('close', () => {
        if (opened === socket) again();
      });
      heard();
    } catch (error) {
      if (error.status === 401) stop(onSignedOut);
      else again();
    }
  }

  function heard() {
    clearTimeout(silence);
    silence = setTimeout(() => {
      const quiet = socket;
      again();
      quiet?.close();
    }, silenceMaxMs);
  }

  function again(waitMs) {
    clearTimeout(silence);
    clearTimeout(timer);
    socket = undefined;
    if (isStopped) return;
    tries += 1;
    const backoffMs =
      Math.min(longestWaitMs, firstWaitMs * 2 ** Math.min(tries, 6)) * (0.5 + Math.random() / 2);
    onState('waiting', navigator.onLine ? 'reconnecting' : 'offline');
    timer = setTimeout(() => void open(), waitMs ?? backoffMs);
  }

  async function onMessage(message) {
    heard();
    switch (message.type) {
      case 'welcome':
        tries = 0;
        send({ type: 'subscribe', channel: 'orders', ...(cursor ? { since: cursor } : {}) });
        send({ type: 'subscribe', channel: 'notifications' });
        onState('live', 'live');
        return;
      case 'event':
        if (message.channel === 'orders') cursor = message.cursor;
        onEvent(message);
        return;
      case 'cursor':
        if (message.channel === 'orders') cursor = message.cursor;
        return;
      case 'gap':
        // What happened in between is not to be had from the socket: read it again.
        if (message.channel === 'orders') await onGap().catch(() => {});
        return;
      case 'auth_expiring': {
        const token = await session.refresh().catch(() => undefined);
        if (token) send({ type: 'auth', token });
        return;
      }
      case 'goaway': {
        const leaving = socket;
        again(Math.random() * (message.reconnect_after_ms ?? 1_000));
        leaving?.close();
        return;
      }
      default:
    }
  }

  function stop(then) {
    isStopped = true;
    clearTimeout(timer);
    clearTimeout(silence);
    const last = socket;
    socket = undefined;
    last?.close();
    removeEventListener('online', openNow);
    onState('off', 'signed out');
    then?.();
  }

  const openNow = () => {
    if (!socket && !isStopped) void open();
  };
  addEventListener('online', openNow);
  void open();
  return { stop };
}
