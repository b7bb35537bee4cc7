/** Conversations, turns and answers, and what becomes of a turn: decided here, done elsewhere. */

export type MessageState = 'pending' | 'running' | 'completed' | 'failed' | 'stopped';

export type Citation = {
  /** The number of its marker in the text, from 1. */
  index: number;
  title: string;
  source: string;
  document_id: string;
};

export type Usage = { input_tokens: number; output_tokens: number };

/** Milliseconds by hop; a hop that was not reached is left out. */
export type Latency = {
  /** From the commit of the request to the worker that has it. */
  queue_ms?: number;
  claim_ms?: number;
  retrieval_ms?: number;
  context_ms?: number;
  /** From the request to the model until its first text. */
  model_ttft_ms?: number;
  /** From the commit of the request until the first text is stored in Kafka. */
  first_text_ms?: number;
  total_ms?: number;
};

/** A message as its reader sees it. */
export type Message = {
  id: string;
  conversation_id: string;
  turn_id: string;
  role: 'user' | 'assistant';
  content: string;
  state: MessageState;
  citations: Citation[];
  approval_id: string | null;
  model: string | null;
  usage: Usage | null;
  latency: Latency | null;
  /** What the model was shown and what was cut; see window.ts. */
  context: Record<string, unknown> | null;
  error_code: string | null;
  created_at: string;
  completed_at: string | null;
};

export type Conversation = {
  id: string;
  title: string | null;
  created_at: string;
  updated_at: string;
};

export type TurnState = 'requested' | 'running' | 'completed' | 'failed' | 'stopped';

export type Turn = {
  id: string;
  conversation_id: string;
  tenant_id: string;
  /** Who asked, and whose conversation it is. */
  user_id: string;
  roles: string[];
  kind: 'answer' | 'approval';
  message_id: string | null;
  answer_id: string;
  approval_id: string | null;
  state: TurnState;
  generation: number;
  error_code: FailureCode | null;
  stop_requested_at: Date | null;
  /** Also when it was asked for again. */
  requested_at: Date;
};

/** Why a turn failed, as message_failed tells it. */
export type FailureCode =
  | 'model_unavailable'
  | 'model_stalled'
  | 'model_refused'
  | 'content_refused'
  /** The question, with what must be shown beside it, is longer than the model takes. */
  | 'context_too_long'
  /** What was approved could not be sent to the orders service; approving again tries again. */
  | 'orders_unavailable'
  /** Not answered within TURN_DEADLINE_MS. */
  | 'turn_deadline'
  /** Nobody began it, or whoever did never came back. */
  | 'expired'
  /** A fault of ours; its record is a dead letter, and a replay of that runs the turn again. */
  | 'internal_error';

export type TurnEnd =
  | { state: 'completed' }
  | { state: 'stopped' }
  | { state: 'failed'; error_code: FailureCode };

/** Why a running turn was cut short; what it does next depends on it. */
export type Cut =
  /** Its reader asked for it. */
  | 'stop'
  | 'deadline'
  /** Another worker has the turn: nothing more is written or told. */
  | 'superseded'
  /** This process or its assignment ends: another worker takes the turn over, and nothing more is written or told. */
  | 'handover';

export class CutError extends Error {
  override readonly name = 'CutError';
  readonly cut: Cut;

  constructor(cut: Cut) {
    super(`The turn was cut short: ${cut}`);
    this.cut = cut;
  }
}

const toldCodes: readonly FailureCode[] = [
  'model_unavailable',
  'model_stalled',
  'model_refused',
  'content_refused',
  'context_too_long',
  'orders_unavailable',
];

/** What an error in a turn means: an end that its reader is told, another's business, or a fault of ours. */
export type Verdict =
  | { kind: 'end'; end: TurnEnd }
  | { kind: 'leave' }
  /** Something everyone needs is away: the same again later, under a new generation. */
  | { kind: 'wait' }
  | { kind: 'fault' };

/** @param isAway whether the error says that Postgres, Kafka or another part is not there */
export function verdictOf(error: unknown, isAway: (error: unknown) => boolean): Verdict {
  if (error instanceof CutError) {
    if (error.cut === 'stop') return { kind: 'end', end: { state: 'stopped' } };
    if (error.cut === 'deadline')
      return { kind: 'end', end: { state: 'failed', error_code: 'turn_deadline' } };
    return { kind: 'leave' };
  }
  if (error instanceof Error && error.name === 'StaleWorkerError') return { kind: 'leave' };
  const code = toldCodes.find((it) => it === codeOf(error));
  if (code !== undefined) return { kind: 'end', end: { state: 'failed', error_code: code } };
  return isAway(error) ? { kind: 'wait' } : { kind: 'fault' };
}

function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  return error.code;
}

/** The words of a conversation's title: the beginning of its first question. */
export function titleFrom(question: string): string {
  const line = question.replace(/\s+/g, ' ').trim();
  return line.length <= titleMax ? line : `${line.slice(0, titleMax - 1).trimEnd()}…`;
}

const titleMax = 80;
