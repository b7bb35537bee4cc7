/** What goes over a socket, as one Buffer: WebSocket frames and SSE chunks that many sockets share. */

export type Format = 'ws' | 'sse';

export type ServerMessage = { type: string } & Record<string, unknown>;

const textFrame = 0x81;

/** An event; `tail` is the end of its JSON. The cursor says: everything up to and with this event. */
export function eventFrame(
  format: Format,
  event: { channel: string; cursor: string; eventType: string; tail: Buffer },
): Buffer {
  const { channel, cursor, eventType, tail } = event;
  const json = `{"type":"event","channel":"${channel}","cursor":"${cursor}"`;
  if (format === 'ws') {
    const size = json.length + tail.length;
    const frame = withHeader(size);
    const at = frame.length - size;
    frame.write(json, at, 'latin1');
    tail.copy(frame, at + json.length);
    return frame;
  }
  const lead = `id: ${cursor}\nevent: ${eventType}\ndata: ${json}`;
  return chunk(lead, tail, '\n\n');
}

/** Any other message. On SSE it is an event of that type, with `id` when the message moves the client's place. */
export function messageFrame(format: Format, message: ServerMessage, id?: string): Buffer {
  const json = JSON.stringify(message);
  if (format === 'ws') {
    const size = Buffer.byteLength(json);
    const frame = withHeader(size);
    frame.write(json, frame.length - size);
    return frame;
  }
  return sseText(`${id === undefined ? '' : `id: ${id}\n`}event: ${message.type}\ndata: ${json}\n\n`);
}

/** `event: cursor` with the id alone: data is there because clients drop an id that comes without. */
export function sseCursor(cursor: string): Buffer {
  return sseText(`id: ${cursor}\nevent: cursor\ndata: {}\n\n`);
}

export function sseText(text: string): Buffer {
  return chunk(text, Buffer.alloc(0), '');
}

function withHeader(size: number): Buffer {
  if (size < 126) {
    const frame = Buffer.allocUnsafe(2 + size);
    frame[0] = textFrame;
    frame[1] = size;
    return frame;
  }
  if (size < 65_536) {
    const frame = Buffer.allocUnsafe(4 + size);
    frame[0] = textFrame;
    frame[1] = 126;
    frame.writeUInt16BE(size, 2);
    return frame;
  }
  const frame = Buffer.allocUnsafe(10 + size);
  frame[0] = textFrame;
  frame[1] = 127;
  frame.writeBigUInt64BE(BigInt(size), 2);
  return frame;
}

/** A chunk of an HTTP/1.1 answer. The lead and the end are ASCII except when there is no tail. */
function chunk(lead: string, tail: Buffer, end: string): Buffer {
  const body = Buffer.concat([Buffer.from(lead), tail, Buffer.from(end)]);
  return Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n')]);
}
