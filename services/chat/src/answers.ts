/** Asking, and reading the answer: as a stream of events, or whole. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { IdempotencyStore } from '@ragline/postgres/idempotency';
import { hashRequest, idempotent } from '@ragline/web/idempotency';
import type { Principal } from '@ragline/web/principal';
import { problem } from '@ragline/web/problems';
import { z } from 'zod';
import type { Budgets } from './budgets.ts';
import type { Message } from './domain.ts';
import type { Admission } from './live/admission.ts';
import { endFrom, isEnd } from './live/event.ts';
import type { Feed } from './live/feed.ts';
import { type EventStream, openEventStream } from './live/sse.ts';
import type { Subscription } from './live/subscription.ts';
import type { ConversationStore } from './turn/conversations.ts';
import type { TurnRequests } from './turn/requests.ts';

export type AnswerParts = {
  feed: Feed;
  admission: Admission;
  idempotency: IdempotencyStore;
  requests: TurnRequests;
  conversations: ConversationStore;
  budgets: Budgets;
  /** How long who wants the whole answer waits for it. */
  answerWithinMs: number;
};

export type Question = { conversation_id: string; content: string };

const asked = z.object({ turn_id: z.string(), message_id: z.string(), answer_id: z.string() });

/** A question that was taken, and its reader, who has missed nothing. Whoever has it closes the subscription. */
export type Asked = z.infer<typeof asked> & {
  conversation_id: string;
  isReplayed: boolean;
  /** From where the events of its turn can be read, on any instance. */
  position: string | undefined;
  subscription: Subscription;
};

export type Answers = ReturnType<typeof createAnswers>;

const positionHeader = 'stream-position';
const beatMs = 15_000;
// How long nothing may come before the answer's row is looked at: what ends a turn is kept there before it is told.
const lookMs = 5_000;
// And how long its events may still take that were written before the row was.
const graceMs = 2_000;

export function createAnswers(parts: AnswerParts) {
  const { feed, admission, idempotency, requests, conversations, budgets, answerWithinMs } = parts;

  /** The same question under the same key has one answer, which can be read again. */
  async function ask(principal: Principal, question: Question, key: string | undefined): Promise<Asked> {
    const { conversation_id } = question;
    const address = addressOf(principal, conversation_id);
    // Before the question is there: an answer that comes at once is not missed.
    const position = feed.cursorNow(conversation_id);
    let subscription = feed.read(address);
    try {
      const requestHash = hashRequest('POST', `/v1/conversations/${conversation_id}/messages`, question);
      const { body, headers } = await idempotent(
        { store: idempotency, principal, key, requestHash },
        async (client) => {
          const ids = await requests.requestTurn(client, { who: principal, ...question });
          await budgets.hold(client, principal, ids.turn_id);
          const at: Record<string, string> = position === undefined ? {} : { [positionHeader]: position };
          return { status: 202, headers: at, body: ids };
        },
      );
      const isReplayed = headers?.['idempotent-replayed'] === 'true';
      const since = headers?.[positionHeader];
      if (isReplayed) {
        subscription.close('closed');
        subscription = feed.read(address, { since });
      }
      return { ...asked.parse(body), conversation_id, isReplayed, position: since, subscription };
    } catch (error) {
      subscription.close('closed');
      throw error;
    }
  }

  /** A reader of a conversation, whose owner the principal has been found to be. */
  function follow(principal: Principal, conversation_id: string, since?: string): Subscription {
    return feed.read(addressOf(principal, conversation_id), { since });
  }

  type Turn = { conversation_id: string; turn_id: string; answer_id: string; isReplayed?: boolean };

  async function endOf(principal: Principal, turn: Turn) {
    const message = await conversations.message(principal, turn.answer_id);
    return (
      message && endFrom({ ...addressOf(principal, turn.conversation_id), turn_id: turn.turn_id }, message)
    );
  }

  /** Tells events until the turn ends, or for as long as somebody reads when no turn is named. */
  async function tell(
    {
      principal,
      turn,
      subscription,
    }: { principal: Principal; turn: Turn | undefined; subscription: Subscription },
    stream: EventStream,
    ended: AbortSignal,
  ): Promise<void> {
    const { conversation_id } = subscription.address;
    const signal = AbortSignal.any([stream.left, ended]);
    const beat = () => stream.event('cursor', {}, feed.cursorOfReader(subscription));
    await stream.retry();
    await beat();
    let toldAt = Date.now();
    // What was asked before may have been answered long ago.
    let waitMs = turn?.isReplayed ? 0 : turn === undefined ? beatMs : lookMs;
    let isEndKnown = turn?.isReplayed === true;
    while (!signal.aborted) {
      const taken = await subscription.take(waitMs, signal);
      waitMs = turn === undefined ? beatMs : lookMs;
      if (taken.kind === 'closed') return;
      if (taken.kind === 'event') {
        isEndKnown = false;
        const { event, place } = taken;
        if (turn !== undefined && event.turn_id !== turn.turn_id) continue;
        await stream.event(event.event_type, event, feed.cursorOf(conversation_id, place));
        if (turn !== undefined && isEnd(event)) return;
        toldAt = Date.now();
        continue;
      }
      if (taken.kind === 'gap') {
        isEndKnown = true;
        const id = taken.place && feed.cursorOf(conversation_id, taken.place);
        await stream.event('gap', { reason: taken.reason }, id);
        toldAt = Date.now();
      }
      // The end may be among what cannot be had, or Kafka away.
      const end = turn && subscription.isEmpty() ? await endOf(principal, turn) : undefined;
      if (end !== undefined && isEndKnown)
        return stream.event(String(end.event_type), end, feed.cursorOfReader(subscription));
      if (end !== undefined) {
        isEndKnown = true;
        waitMs = graceMs;
      }
      if (Date.now() - toldAt < beatMs) continue;
      await beat();
      toldAt = Date.now();
    }
  }

  return {
    ask,
    follow,

    /** Throws problems `rate_limited` and `unauthenticated` for who could not read an answer here. */
    requireRoom: admission.check,

    /** Streams a turn to its end, or a conversation for as long as its reader may. What the client leaves goes on. */
    async stream(
      { req, res }: { req: IncomingMessage; res: ServerResponse },
      reading: { principal: Principal; turn: Turn | undefined; subscription: Subscription },
      headers: Record<string, string> = {},
    ): Promise<void> {
      const ended = new AbortController();
      const { subscription } = reading;
      try {
        const { leave } = admission.enter(reading.principal, () => ended.abort());
        try {
          const stream = openEventStream(req, res, headers);
          await tell(reading, stream, ended.signal);
          stream.end();
        } finally {
          leave();
        }
      } finally {
        subscription.close('closed');
      }
    },

    /** The whole answer; undefined when it is not there in time. */
    async whole(
      principal: Principal,
      turn: Turn,
      subscription: Subscription,
      left: AbortSignal,
    ): Promise<Message | undefined> {
      const until = Date.now() + answerWithinMs;
      const ended = new AbortController();
      const over = AbortSignal.any([left, ended.signal]);
      // What was asked before may have been answered long ago.
      let waitMs = turn.isReplayed ? 0 : lookMs;
      let leave = () => {};
      try {
        leave = admission.enter(principal, () => ended.abort()).leave;
        while (!over.aborted && Date.now() < until) {
          const taken = await subscription.take(Math.min(waitMs, until - Date.now()), over);
          waitMs = lookMs;
          if (taken.kind === 'closed' && taken.reason === 'restart') return undefined;
          if (taken.kind === 'event' && !(isEnd(taken.event) && taken.event.turn_id === turn.turn_id))
            continue;
          const message = await conversations.message(principal, turn.answer_id);
          if (message !== undefined && message.state !== 'pending' && message.state !== 'running')
            return message;
          // Let go as too slow: the row is all that is left to look at.
          if (taken.kind === 'closed') throw problem('unavailable');
        }
        return undefined;
      } finally {
        leave();
        subscription.close('closed');
      }
    },
  };
}

const addressOf = ({ tenant_id, user_id }: Principal, conversation_id: string) => ({
  ...{ tenant_id, user_id, conversation_id },
});
