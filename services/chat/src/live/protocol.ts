/** What is said on `/ws/chat`; its rules of tokens, heartbeats and close codes are those of `/ws`. */
import { z } from 'zod';
import { newMessage } from '../shapes.ts';

export const closeCodes = {
  malformed: 4400,
  unauthenticated: 4401,
  noHeartbeat: 4408,
  tooSlow: 4409,
  tooMany: 4429,
  restart: 1012,
} as const;
export type SocketCloseReason = keyof typeof closeCodes;

/** Codes that the parser of frames closes with, which clients see as malformed or oversize. */
export const frameFaultCodes = new Set([1002, 1003, 1007, 1009]);

export const subprotocol = 'ragline.v1.json';
export const frameBytesMax = 64 * 1024;
export const subscriptionsMax = 200;

const id = z.union([z.string().min(1).max(128), z.int()]);
// What is none belongs to nothing, and is told so by its message's id.
const conversation_id = z.string().max(64);

const clientMessage = z.discriminatedUnion('type', [
  z.object({
    ...{ type: z.literal('message'), id, conversation_id, content: z.string() },
    idempotency_key: z.string().min(1).max(255).optional(),
  }),
  z.object({ type: z.literal('subscribe'), id, conversation_id, since: z.string().max(4096).optional() }),
  z.object({ type: z.literal('unsubscribe'), id, conversation_id }),
  z.object({ type: z.literal('stop'), id, conversation_id }),
  z.object({ type: z.literal('auth'), id, token: z.string().min(1).max(8192) }),
  z.object({ type: z.literal('ping'), id }),
]);

export type ClientMessage = z.infer<typeof clientMessage>;
export type MessageId = ClientMessage['id'];
export type ServerMessage = { type: string } & Record<string, unknown>;

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

const uuidShape = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
export const isConversationId = (text: string): boolean => uuidShape.test(text);

/** Whether a question is one that REST would take. */
export const isQuestion = (content: string): boolean => newMessage.safeParse({ content }).success;
