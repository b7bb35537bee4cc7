/**
 * WebSocket upgrades: the handshake is checked and written anew, then two TCP sockets are joined.
 *
 * Until the service has said 101, not one byte that the client sent after its handshake is passed on; and if
 * it says anything else, the client's connection ends with that answer. So no request can hide behind a failed
 * upgrade.
 */
import net from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger } from '@ragline/runtime/logger';
import { type Problem, problem } from '@ragline/web/problems';
import { endSocket, refuseSocket } from './answer.ts';
import { headOf, readAnswerHead } from './handshake.ts';
import type { ServiceName } from './routes.ts';
import type { Instance, Upstreams } from './upstreams.ts';

export type TunnelJob = {
  service: ServiceName;
  socket: Duplex;
  /** What came in one read with the handshake. */
  head: Buffer;
  target: string;
  headers: Record<string, string>;
  requestId: string;
  onOpen?: () => void;
};

export type Tunnels = ReturnType<typeof createTunnels>;

// More before the 101 than a client could need: it has to wait for the answer anyway.
const earlyMaxBytes = 64 * 1024;
const closingMs = 10_000;

export function createTunnels(options: { upstreams: Upstreams; log: Logger; answerWithinMs: number }) {
  const { upstreams, log, answerWithinMs } = options;
  const open = new Set<() => void>();

  return {
    open: () => open.size,

    /** Serves one upgrade until both sockets are closed; resolves with the status that the client was given. */
    async serve(job: TunnelJob): Promise<{ status: number; instance?: Instance }> {
      const refusing = new Set<Instance>();
      job.socket.on('error', () => job.socket.destroy());
      for (;;) {
        const instance = upstreams.pickReady(job.service, refusing);
        if (!instance) return refuse(job, noInstance());
        instance.open += 1;
        try {
          const upstream = await connect(instance, answerWithinMs).catch(() => undefined);
          if (!upstream) {
            upstreams.refused(instance);
            refusing.add(instance);
            continue;
          }
          return { ...(await upgrade(upstream, instance, job)), instance };
        } finally {
          instance.open -= 1;
        }
      }
    },

    /** Closes all tunnels, spread over a while: all clients at once would be a storm. */
    async cut(spreadMs: number): Promise<void> {
      const all = [...open];
      await Promise.all(
        all.map(async (close, index) => {
          await new Promise((resolve) => setTimeout(resolve, (index / all.length) * spreadMs));
          close();
        }),
      );
    },
  };

  async function upgrade(upstream: net.Socket, instance: Instance, job: TunnelJob) {
    const { socket } = job;
    const early = holdEarly(socket, job.head);
    const onGone = () => upstream.destroy();
    socket.once('close', onGone);
    upstream.write(headOf(job.target, instance.url.host, job.headers));
    const answer = await readAnswerHead(upstream, answerWithinMs);
    const sent = early.take();
    socket.off('close', onGone);
    if (socket.destroyed) {
      upstream.destroy();
      return { status: 499 };
    }
    if (answer.kind === 'failed' || sent === undefined) {
      log.warn('upgrade failed', {
        upstream: instance.name,
        why: answer.kind === 'failed' ? answer.why : 'early',
      });
      upstream.destroy();
      return refuse(
        job,
        sent === undefined
          ? problem('malformed', 'Too many bytes before the handshake was answered.')
          : problem('unavailable', 'The service gave no answer.'),
      );
    }
    if (answer.kind === 'refused') {
      upstream.destroy();
      // The service's own refusal, such as 401, word for word; 5xx is told as 503, so that clients come back.
      if (answer.status >= 500) return refuse(job, noInstance());
      endSocket(socket, answer.bytes);
      return { status: answer.status };
    }
    socket.write(answer.bytes);
    if (sent.length > 0) upstream.write(sent);
    job.onOpen?.();
    await join(socket, upstream, open);
    return { status: 101 };
  }

  function refuse(job: TunnelJob, refusal: Problem) {
    refuseSocket(job.socket, refusal, job.requestId);
    return { status: refusal.status };
  }
}

// Jitter: whoever is turned away together should not come back together.
const noInstance = () =>
  problem('unavailable', 'No instance takes sockets right now.', {
    headers: { 'retry-after': String(1 + Math.floor(Math.random() * 3)) },
  });

/** Joins the sockets until both are closed. Each end's pace holds up the other: nothing is kept but one buffer. */
function join(client: Duplex, upstream: net.Socket, open: Set<() => void>): Promise<void> {
  return new Promise((resolve) => {
    let left = [client, upstream].filter((it) => !it.closed).length;
    let timer: NodeJS.Timeout | undefined;
    const close = () => {
      client.destroy();
      upstream.destroy();
    };
    const onEnd = () => {
      // The other side gets what is under way and a while to close too; a peer that is gone never would.
      timer ??= setTimeout(close, closingMs);
    };
    const onClosed = (other: Duplex) => () => {
      left -= 1;
      if (left === 0) {
        clearTimeout(timer);
        open.delete(close);
        resolve();
      } else {
        onEnd();
        if (!other.writableEnded) other.end();
        other.once('finish', () => other.destroy());
        if (other.writableFinished) other.destroy();
      }
    };
    open.add(close);
    client.on('error', () => client.destroy());
    upstream.on('error', () => upstream.destroy());
    client.once('end', onEnd).once('close', onClosed(upstream));
    upstream.once('end', onEnd).once('close', onClosed(client));
    client.pipe(upstream);
    upstream.pipe(client);
    if (client.destroyed || upstream.destroyed) close();
    if (left === 0) {
      open.delete(close);
      resolve();
    }
  });
}

/** Keeps what the client sends before its turn; `take` ends that, undefined when it was too much. */
function holdEarly(socket: Duplex, head: Buffer) {
  const chunks = head.length > 0 ? [head] : [];
  let bytes = head.length;
  const onData = (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > earlyMaxBytes) socket.pause();
    else chunks.push(chunk);
  };
  socket.on('data', onData);
  return {
    take(): Buffer | undefined {
      socket.off('data', onData);
      socket.pause();
      return bytes > earlyMaxBytes ? undefined : Buffer.concat(chunks);
    },
  };
}

function connect(instance: Instance, withinMs: number): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({
      host: instance.url.hostname.replace(/^\[|\]$/g, ''),
      port: Number(instance.url.port || 80),
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 30_000,
    });
    const timer = setTimeout(
      () => socket.destroy(new Error('no connection in time')),
      Math.min(withinMs, 2_000),
    );
    socket.once('error', reject);
    socket.once('close', () => clearTimeout(timer));
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.off('error', reject);
      socket.on('error', () => socket.destroy());
      resolve(socket);
    });
  });
}
