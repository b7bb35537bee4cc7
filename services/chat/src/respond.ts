/** How an answer goes out: as a stream, whole, or later, as the client prefers. */
import type { Answer } from '@ragline/web/api';
import type { Principal } from '@ragline/web/principal';
import type { Request, Response } from 'express';
import type { Answers, Asked } from './answers.ts';

/** Answers by itself on `res` where it streams, and returns nothing then. */
export async function respond(
  answers: Answers,
  { principal, asked, req, res }: { principal: Principal; asked: Asked; req: Request; res: Response },
): Promise<Answer | undefined> {
  const { turn_id, message_id, answer_id, position, isReplayed, subscription } = asked;
  const headers = {
    ...(position === undefined ? {} : { 'stream-position': position }),
    ...(isReplayed ? { 'idempotent-replayed': 'true' } : {}),
  };
  if (wantsStream(req)) {
    const reading = { principal, turn: asked, subscription };
    await answers.stream({ req, res }, reading, headers);
    return undefined;
  }
  const later = { status: 202, headers, body: { turn_id, message_id, answer_id } };
  if (prefersAsync(req)) {
    subscription.close('closed');
    return { ...later, headers: { ...headers, 'preference-applied': 'respond-async' } };
  }
  const left = new AbortController();
  res.on('close', () => left.abort());
  const message = await answers.whole(principal, asked, subscription, left.signal);
  return message === undefined ? later : { status: 200, headers, body: { message } };
}

export function wantsStream({ headers: { accept } }: Request): boolean {
  return accept !== undefined && /(?:^|[\s,])text\/event-stream(?:[\s,;]|$)/i.test(accept);
}

/** RFC 7240. */
export function prefersAsync({ headers: { prefer } }: Request): boolean {
  const said = typeof prefer === 'string' ? prefer : (prefer?.join(',') ?? '');
  return /(?:^|[\s,;])respond-async(?:[\s,;]|$)/i.test(said);
}
