/**
 * The worker: takes a turn's record, answers, keeps the answer, tells its end. In this order, so that at whatever line
 * it dies the next one knows what is left to do (docs/decisions/0116):
 *
 *   claim (generation + 1) → events … → flush → the answer and the inbox row, in one transaction → the end → offset
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type Client, inTenant, type Pool, setTenant } from '@ragline/postgres/pool';
import type { Logger } from '@ragline/runtime/logger';
import { type Span, withSpan } from '@ragline/runtime/tracing';
import type { ChatRequestEvent } from '@ragline/schemas/types.generated';
import { failureOf, PermanentError, UnavailableError } from '@ragline/streams/errors';
import type { DecodedEvent } from '@ragline/streams/record';
import type { Attempt } from '@ragline/streams/task';
import { type Role, roles } from '@ragline/web/principal';
import { CutError, type Message, type Turn, type TurnEnd, type Usage, verdictOf } from '../domain.ts';
import { maskPii } from '../tools/pii.ts';
import { type AnswerParts, answer } from './answer.ts';
import { type ApprovalParts, carryOut } from './approval.ts';
import { type Draft, newDraft } from './draft.ts';
import type { EndEvent, Publisher, TurnStream } from './events.ts';
import type { TurnMetrics } from './metrics.ts';
import type { Run, Running } from './running.ts';
import type { Claim, KeptAnswer, TurnStore } from './store.ts';

export type WorkerParts = AnswerParts &
  ApprovalParts & {
    pool: Pool;
    store: TurnStore;
    publisher: Publisher;
    running: Running;
    metrics: TurnMetrics;
    /** This instance, as turns remember it. */
    name: string;
    /** Books what was used, in the transaction that keeps the answer; also nothing, which ends what was held for it. */
    spend?:
      | ((client: Client, turn: Pick<Turn, 'id' | 'tenant_id' | 'user_id'>, usage: Usage) => Promise<void>)
      | undefined;
    /** Told when a turn is over and its reader knows; must not throw. */
    afterwards?: ((turn: Turn) => void) | undefined;
    captureContent?: boolean;
    log: Logger;
  };

type Claimed = Extract<Claim, { kind: 'claimed' }>;
type Handled = Pick<Attempt, 'signal' | 'once'>;

// A worker that was thought dead learns so much later, at the latest, that its assignment is over.
const assignmentEndsMs = 5_000;

// A commit is shown milliseconds after it is in the log, on a machine that is very busy seconds.
const notSeenMs = 30_000;
const notSeenAgainMs = 5;
const notSeenAgainMsMax = 500;
const nothingUsed: Usage = { input_tokens: 0, output_tokens: 0 };

export function createWorker(parts: WorkerParts) {
  const { pool, store, publisher, running, metrics, log } = parts;

  /**
   * Claims the turn. One that is not there is looked for again while its record is young: the record is read from the
   * write-ahead log, and may be here before Postgres shows the commit to anybody.
   */
  async function claimTurn(request: ChatRequestEvent, signal: AbortSignal): Promise<Claim> {
    const { tenant_id, turn_id, occurred_at } = request;
    const until = Date.parse(occurred_at) + notSeenMs;
    for (let waitMs = notSeenAgainMs; ; waitMs = Math.min(waitMs * 2, notSeenAgainMsMax)) {
      const claim = await store.claim(tenant_id, turn_id, parts.name);
      if (claim.kind !== 'gone' || Date.now() > until) return claim;
      await delay(waitMs, undefined, { signal });
    }
  }

  async function runTurn(request: ChatRequestEvent, { signal, once }: Handled): Promise<string> {
    const { turn_id } = request;
    const run = running.begin(turn_id, signal);
    metrics.counted();
    try {
      await parts.failpoint('begun');
      const startedAt = Date.now();
      const claim = await claimTurn(request, signal);
      // Its conversation was erased.
      if (claim.kind === 'gone') return 'gone';
      if (claim.kind === 'ended') {
        await tellAgain(claim, run);
        return 'duplicate';
      }
      run.began(claim.turn.generation);
      const draft = newDraft();
      draft.latency.queue_ms = Math.max(0, startedAt - claim.turn.requested_at.getTime());
      draft.latency.claim_ms = Date.now() - startedAt;
      const { kind, generation } = claim.turn;
      const attributes = {
        'chat.turn.id': turn_id,
        'chat.turn.kind': kind,
        'chat.turn.generation': generation,
      };
      return await withSpan('chat turn', { attributes }, (span) => carryOn(claim, run, draft, once, span));
    } catch (error) {
      throw await left(error, signal);
    } finally {
      run.end();
      metrics.counted();
    }
  }

  async function carryOn(
    claim: Claimed,
    run: Run,
    draft: Draft,
    once: Handled['once'],
    span: Span,
  ): Promise<string> {
    const { turn } = claim;
    const stream = publisher.open(turn, run.telling);
    try {
      if (turn.generation > 1) {
        metrics.restarted();
        stream.event({ event_type: 'message_restarted' });
      }
      const { end, fault } = await work(claim, run, draft, stream);
      if (end.state === 'failed') {
        const { error_code } = end;
        log.warn('turn failed', { turn_id: turn.id, error_code, ...(fault ? { error: fault.cause } : {}) });
      }
      await stream.flush();
      const kept = await keep(turn, draft, end, stream, fault === undefined ? once : undefined);
      // The record counted as handled already, but the turn was open: its reader waits for an end all the same.
      const message = kept ?? (await keep(turn, draft, end, stream, undefined));
      if (message === undefined) return 'duplicate';
      await parts.failpoint('finished');
      await publisher.end(turn, stream.nextSequence(), endEvent(end, message), run.telling);
      metrics.ended(turn, end, draft.latency);
      await show(span, claim, draft, end);
      await parts.failpoint('told');
      parts.afterwards?.(turn);
      if (fault !== undefined) {
        throw new PermanentError('turn_failed', 'The turn failed by a fault of the service', {
          cause: fault.cause,
        });
      }
      return end.state;
    } finally {
      stream.drop();
    }
  }

  /** Answers, or finds out how the turn ends without an answer. Throws where it is not ours to end. */
  async function work(
    { turn, question, history }: Claimed,
    run: Run,
    draft: Draft,
    stream: TurnStream,
  ): Promise<{ end: TurnEnd; fault?: { cause: unknown } }> {
    try {
      await parts.failpoint('claimed');
      const { tenant_id, user_id, conversation_id, id: turn_id, generation } = turn;
      const caller = { tenant_id, user_id, roles: rolesOf(turn), conversation_id, turn_id, generation };
      if (turn.approval_id !== null) {
        await carryOut(parts, { approval_id: turn.approval_id, caller }, draft, stream, run.signal);
      } else {
        if (turn.stop_requested_at !== null) throw new CutError('stop');
        await answer(parts, { question, history, caller }, draft, stream, run.signal);
      }
      await parts.failpoint('answered');
      return { end: { state: 'completed' } };
    } catch (error) {
      // What was cut off shows as whatever it broke: why it was cut counts.
      const cause: unknown = run.signal.aborted ? run.signal.reason : error;
      const verdict = verdictOf(cause, (it) => failureOf(it).kind === 'unavailable');
      if (verdict.kind === 'end') return { end: verdict.end };
      if (verdict.kind === 'fault')
        return { end: { state: 'failed', error_code: 'internal_error' }, fault: { cause } };
      throw cause;
    }
  }

  /**
   * Keeps the answer. With `once`, in the transaction in which the record becomes handled; undefined when it was.
   * After a fault without: the record is to become a dead letter, and a replay runs the turn again.
   */
  async function keep(
    turn: Turn,
    draft: Draft,
    end: TurnEnd,
    stream: TurnStream,
    once: Handled['once'] | undefined,
  ): Promise<Message | undefined> {
    const { requested_at, tenant_id } = turn;
    const firstTextAt = stream.firstTextAt();
    if (firstTextAt !== undefined)
      draft.latency.first_text_ms = Math.max(0, firstTextAt - requested_at.getTime());
    draft.latency.total_ms = Math.max(0, Date.now() - requested_at.getTime());
    const kept: KeptAnswer = {
      ...draft,
      state: end.state,
      error_code: end.state === 'failed' ? end.error_code : null,
      sequence: stream.nextSequence(),
    };
    const write = async (client: Client) => {
      const message = await store.finish(client, turn, kept);
      if (turn.kind === 'answer') await parts.spend?.(client, turn, draft.usage ?? nothingUsed);
      return message;
    };
    if (once === undefined) return inTenant(pool, tenant_id, write);
    return once(async (client) => {
      await setTenant(client, tenant_id);
      return write(client);
    });
  }

  async function tellAgain({ turn, answer, sequence }: Extract<Claim, { kind: 'ended' }>, run: Run) {
    const end = endOf(turn);
    if (end !== undefined) await publisher.end(turn, sequence, endEvent(end, answer), run.telling);
  }

  async function show(
    span: Span,
    { turn, question }: Claimed,
    { latency, content, model }: Draft,
    end: TurnEnd,
  ): Promise<void> {
    for (const [hop, ms] of Object.entries(latency)) span.setAttribute(`chat.latency.${hop}`, ms);
    span.setAttribute('chat.turn.state', end.state);
    if (model !== null) span.setAttribute('chat.model', model);
    if (parts.captureContent && turn.kind === 'answer') {
      span.setAttribute('chat.question', await maskPii(question, { names: true }));
      span.setAttribute('chat.answer', await maskPii(content, { names: true }));
    }
  }

  return {
    /** Handles one record of chat.requests.v1; the outcome's label. */
    async handle(event: DecodedEvent, attempt: Handled): Promise<string> {
      if (event.schema !== 'chat_request_v1') {
        throw new PermanentError('schema_unexpected', `Not a request for an answer: ${event.schema}`);
      }
      const { value } = event;
      // Its turn was before it in the line, so it has ended; what runs heard of it by the tail.
      if (value.event_type === 'stop_requested') return 'noted';
      return runTurn(value, attempt);
    },
  };
}

/** What the runner is told where the turn is another's: nothing of ours counts any more. */
async function left(error: unknown, signal: AbortSignal): Promise<unknown> {
  const isOthers =
    (error instanceof CutError && error.cut === 'superseded') ||
    (error instanceof Error && error.name === 'StaleWorkerError');
  if (!isOthers) return error;
  // As a rule the assignment is over, and nobody hears this. If not, the turn is ours again after a while.
  await delay(assignmentEndsMs, undefined, { signal }).catch(() => {});
  return new UnavailableError('Another worker has the turn', { cause: error });
}

function endEvent(end: TurnEnd, message: Message): EndEvent {
  switch (end.state) {
    case 'completed':
      return { event_type: 'message_completed', message };
    case 'stopped':
      return { event_type: 'message_stopped', message };
    case 'failed':
      return { event_type: 'message_failed', message, code: end.error_code };
  }
}

/** How a turn ended that was read from its row; undefined for one that is open. */
function endOf({ state, error_code }: Turn): TurnEnd | undefined {
  if (state === 'completed' || state === 'stopped') return { state };
  return state === 'failed' ? { state, error_code: error_code ?? 'internal_error' } : undefined;
}

function rolesOf({ roles: held }: Turn): Role[] {
  return roles.filter((role) => held.includes(role));
}
