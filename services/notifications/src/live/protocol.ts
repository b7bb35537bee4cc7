/** Messages and close codes of the socket protocol; PROTOCOL.md describes them for clients. */
import { z } from 'zod';

export const closeCodes = {
  malformed: 4400,
  unauthenticated: 4401,
  noHeartbeat: 4408,
  tooSlow: 4409,
  tooMany: 4429,
  restart: 1012,
} as const;
export type CloseReason = keyof typeof closeCodes;

/** Codes that the parser of frames closes with, which clients see as malformed or oversize. */
export const frameFaultCodes = new Set([1002, 1003, 1007, 1009]);

export const subprotocol = 'ragline.v1.json';
export const frameBytesMax = 64 * 1024;
export const subscriptionsMax = 200;

const id = z.union([z.string().min(1).max(128), z.int()]);
const channel = z.string().min(1).max(128);

const clientMessage = z.discriminatedUnion('type', [
  z.object({ type: z.literal('subscribe'), id, channel, since: z.string().max(4096).optional() }),
  z.object({ type: z.literal('unsubscribe'), id, channel }),
  z.object({ type: z.literal('auth'), id, token: z.string().min(1).max(8192) }),
  z.object({ type: z.literal('ping'), id }),
  z.object({ type: z.literal('read'), id, notification_id: z.string().max(64) }),
]);

export type ClientMessage = z.infer<typeof clientMessage>;
export type MessageId = ClientMessage['id'];

/** undefined for what is no message of the protocol. Unknown fields are left aside: newer clients may send more. */
export function clientMessageFrom(text: string): ClientMessage | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  return clientMessage.safeParse(json).data;
}

/** Codes of `error` messages; the connection stays. */
export type ErrorCode =
  | 'not_found'
  | 'malformed'
  | 'unauthenticated'
  | 'forbidden'
  | 'too_many'
  | 'unavailable';
