/** A socket of the sentinel on one instance of notifications: kept open, whatever happens to it. */
import type { Logger } from '@ragline/runtime/logger';
import WebSocket from 'ws';
import type { Stage } from './sentinel-book.ts';
import { type SentinelSession, textAt } from './sentinel-session.ts';

type Options = {
  instance: string;
  url: string;
  session: SentinelSession;
  log: Logger;
  onOrder: (stage: Stage, instance: string, orderId: string) => void;
};

const firstWaitMs = 500;
const longestWaitMs = 5_000;
// Cursors come every 15 s even when nothing happens.
const silenceMaxMs = 45_000;

export function watchInstance(options: Options) {
  const { instance, url, session, log, onOrder } = options;
  let socket: WebSocket | undefined;
  let timer: NodeJS.Timeout | undefined;
  let silence: NodeJS.Timeout | undefined;
  let isStopped = false;
  let failures = 0;
  let nextId = 0;

  const send = (message: object) => {
    nextId += 1;
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ ...message, id: `s${nextId}` }));
  };

  async function open() {
    try {
      const token = await session.token();
      if (isStopped) return;
      socket = new WebSocket(url, {
        headers: { authorization: `Bearer ${token}` },
        handshakeTimeout: 5_000,
        perMessageDeflate: false,
        maxPayload: 1024 * 1024,
      });
      attach(socket);
    } catch (error) {
      log.debug('sentinel cannot sign in', { error });
      again();
    }
  }

  function attach(it: WebSocket) {
    it.on('unexpected-response', (request, response) => {
      if (response.statusCode === 401) session.forget();
      request.destroy();
      it.terminate();
    });
    it.on('error', (error) => log.debug('sentinel socket failed', { upstream: instance, error }));
    it.on('close', (code) => {
      if (code === 4401) session.forget();
      if (!isStopped) log.info('sentinel socket closed', { upstream: instance, code });
      again();
    });
    it.on('message', (data) => {
      heard(it);
      onMessage(String(data));
    });
    heard(it);
  }

  function heard(it: WebSocket) {
    clearTimeout(silence);
    silence = setTimeout(() => it.terminate(), silenceMaxMs);
  }

  function onMessage(text: string) {
    const message: unknown = JSON.parse(text);
    switch (textAt(message, 'type')) {
      case 'welcome':
        failures = 0;
        send({ type: 'subscribe', channel: 'orders' });
        send({ type: 'subscribe', channel: 'notifications' });
        return;
      case 'auth_expiring':
        session.forget();
        session.token().then(
          (token) => send({ type: 'auth', token }),
          () => {},
        );
        return;
      case 'event':
        onEvent(message);
        return;
      default:
    }
  }

  function onEvent(message: unknown) {
    const type = textAt(message, 'event_type');
    if (type === 'order_created') report('live', textAt(message, 'data', 'order', 'id'));
    if (type === 'notification_created') {
      report('handled', textAt(message, 'data', 'notification', 'order_id'));
    }
  }

  function report(stage: Stage, orderId: string | undefined) {
    if (orderId !== undefined) onOrder(stage, instance, orderId);
  }

  function again() {
    clearTimeout(silence);
    if (isStopped) return;
    failures += 1;
    const waitMs =
      Math.min(longestWaitMs, firstWaitMs * 2 ** Math.min(failures, 5)) * (0.5 + Math.random() / 2);
    clearTimeout(timer);
    timer = setTimeout(() => void open(), waitMs);
  }

  void open();
  return {
    stop() {
      isStopped = true;
      clearTimeout(timer);
      clearTimeout(silence);
      socket?.terminate();
    },
  };
}
