/**
 * The load of the live benchmark in a process of its own: thousands of WebSocket clients on bare TCP, since a
 * client library would take more CPU than the server it measures. Frames are counted; of every hundredth socket
 * they are read for their delay.
 */
import net from 'node:net';

export type LoadAsk =
  | {
      ask: 'connect';
      port: number;
      count: number;
      path: string;
      token: string;
      hello: string | undefined;
      withinMs: number;
    }
  | { ask: 'reset' }
  | { ask: 'report' }
  | { ask: 'cursors' }
  | { ask: 'close' }
  | { ask: 'resume'; port: number; token: string; cursors: string[]; events: number; withinMs: number };
export type Report = { events: number; delaysMs: number[]; closed: number };
export type Resumed = { allMs: number; eachMs: number[]; events: number };

type Socket = {
  tcp: net.Socket;
  rest: Buffer;
  isOpen: boolean;
  isRead: boolean;
  cursor: string;
  events: number;
};

const sampleEvery = 100;
const cursorChars = /"cursor":"([\w-]+)"/;
const occurredAt = /"occurred_at":"([^"]+)"/;
const eventMarks = [Buffer.from('{"type":"event"'), Buffer.from('42["event"')];

let sockets: Socket[] = [];
let events = 0;
let closed = 0;
let delaysMs: number[] = [];

process.on('message', (message: LoadAsk) => void answer(message));
process.on('disconnect', () => process.exit(0));

async function answer(message: LoadAsk): Promise<void> {
  switch (message.ask) {
    case 'connect': {
      const { count, withinMs, port, path, token, hello } = message;
      await spread(count, withinMs, (i) => open({ port, path, token, hello, isRead: i % sampleEvery === 0 }));
      break;
    }
    case 'reset':
      events = 0;
      delaysMs = [];
      break;
    case 'report':
      return void process.send?.({ events, delaysMs, closed } satisfies Report);
    case 'cursors':
      return void process.send?.(sockets.map((it) => it.cursor));
    case 'close':
      for (const { tcp } of sockets) tcp.destroy();
      sockets = [];
      break;
    case 'resume':
      return void process.send?.(await resume(message));
  }
  process.send?.({ done: true });
}

async function spread<T>(count: number, withinMs: number, run: (i: number) => Promise<T>): Promise<T[]> {
  const started = Date.now();
  const running: Promise<T>[] = [];
  for (let i = 0; i < count; i += 1) {
    running.push(run(i));
    if (running.length % 50 === 0) await Promise.all(running.slice(-50));
    const due = started + (withinMs * i) / count;
    const wait = due - Date.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
  }
  return Promise.all(running);
}

async function open(how: {
  port: number;
  path: string;
  token: string;
  hello: string | undefined;
  isRead: boolean;
}) {
  const tcp = net.connect({ port: how.port, host: '127.0.0.1', noDelay: true });
  const socket: Socket = {
    tcp,
    rest: Buffer.alloc(0),
    isOpen: false,
    isRead: how.isRead,
    cursor: '',
    events: 0,
  };
  sockets.push(socket);
  await new Promise<void>((resolve, reject) => {
    tcp.on('error', reject);
    tcp.on('close', () => {
      closed += 1;
      reject(new Error('closed before it was open'));
    });
    tcp.on('data', (data) => {
      take(socket, data, resolve);
    });
    const head = [
      `GET ${how.path} HTTP/1.1`,
      'Host: 127.0.0.1',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      `Authorization: Bearer ${how.token}`,
    ];
    tcp.write(`${head.join('\r\n')}\r\n\r\n`);
  });
  if (how.hello !== undefined) tcp.write(masked(how.hello));
  return socket;
}

function take(socket: Socket, data: Buffer, opened: () => void): void {
  let bytes = socket.rest.length === 0 ? data : Buffer.concat([socket.rest, data]);
  if (!socket.isOpen) {
    const end = bytes.indexOf('\r\n\r\n');
    if (end < 0 || !bytes.toString('latin1', 0, 12).startsWith('HTTP/1.1 101')) {
      socket.rest = bytes;
      return;
    }
    socket.isOpen = true;
    opened();
    bytes = bytes.subarray(end + 4);
  }
  let at = 0;
  while (at + 2 <= bytes.length) {
    const short = (bytes[at + 1] ?? 0) & 0x7f;
    const head = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (at + head > bytes.length) break;
    const size =
      head === 2 ? short : head === 4 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2));
    if (at + head + size > bytes.length) break;
    if (((bytes[at] ?? 0) & 0x0f) === 9) socket.tcp.write(Buffer.from([0x8a, 0x80, 0, 0, 0, 0]));
    else read(socket, bytes.subarray(at + head, at + head + size));
    at += head + size;
  }
  // Copied: a slice would keep what it was cut from.
  socket.rest = at === bytes.length ? Buffer.alloc(0) : Buffer.from(bytes.subarray(at));
}

function read(socket: Socket, payload: Buffer): void {
  if (eventMarks.some((mark) => payload.subarray(0, mark.length).equals(mark))) {
    events += 1;
    socket.events += 1;
    if (!socket.isRead) return;
    const at = Date.parse(occurredAt.exec(payload.toString('latin1'))?.[1] ?? '');
    if (!Number.isNaN(at)) delaysMs.push(Date.now() - at);
  } else {
    socket.cursor = cursorChars.exec(payload.toString('latin1'))?.[1] ?? socket.cursor;
  }
}

/** Everyone comes back within a second, each with its cursor, and is owed the same number of events. */
async function resume(how: LoadAsk & { ask: 'resume' }): Promise<Resumed> {
  const started = Date.now();
  const eachMs = await spread(how.cursors.length, how.withinMs, async (i) => {
    const from = Date.now();
    const path = `/ws/orders?since=${how.cursors[i]}`;
    const socket = await open({ port: how.port, path, token: how.token, hello: undefined, isRead: false });
    while (socket.events < how.events) await new Promise((resolve) => setTimeout(resolve, 5));
    return Date.now() - from;
  });
  return { allMs: Date.now() - started, eachMs, events: sockets.reduce((sum, it) => sum + it.events, 0) };
}

function masked(text: string): Buffer {
  // A mask of zeros leaves the text as it is.
  return Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]);
}
