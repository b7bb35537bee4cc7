/** What a tool is: one file in definitions/ whose default export is one of these. */
import type { Pool } from '@ragline/postgres/pool';
import type { Role } from '@ragline/web/principal';
import type { z } from 'zod';
import type { Usage } from '../domain.ts';
import type { Model } from '../model/model.ts';
import type { Prompts } from '../model/prompts.ts';
import type { Chunk, Retriever } from '../retrieval/retrieve.ts';
import type { OrdersClient } from './orders-client.ts';

/** `C`: what of the context it needs. */
export type Tool<I = unknown, O = unknown, C = ToolContext> = {
  name: string;
  /** For the model: when to call it, and what it gives. */
  description: string;
  /** Checked before `run`; described to the model as a JSON Schema. */
  input: z.ZodType<I>;
  /** Checked after `run`; what does not fit never reaches the model. */
  output: z.ZodType<O>;
  /** Who may have it called: any of these roles, or one above it. */
  roles: readonly Role[];
  /** `write` has an effect that outlives the turn: it goes through the ledger. */
  effect: 'read' | 'write';
  timeoutMs: number;
  /** Throws ToolError for what the model can act upon; any other error is told as a failure without details. */
  run(input: I, context: C): Promise<O>;
  /** The result in a few words, for `tool_finished`; says nothing that only the answer should. */
  summary?(output: O): string;
};

/** Who asks, for which turn. Nothing of it comes from the model. */
export type ToolCaller = {
  tenant_id: string;
  user_id: string;
  roles: readonly Role[];
  conversation_id: string;
  turn_id: string;
  /** Of the turn's worker: what an older one writes is refused by the ledger. */
  generation: number;
  signal: AbortSignal;
  /**
   * Numbers chunks for citations, going on from the turn's own; a chunk that has a number keeps it.
   * Without one the tool counts from 1.
   */
  cite?: (chunks: readonly Chunk[]) => number[];
  /** Told what a model has used that a tool asked. */
  spent?: (usage: Usage) => void;
};

export type ToolContext = ToolCaller & {
  parts: ToolParts;
  /** The signal also ends with the tool's timeout. */
  signal: AbortSignal;
  /** Chunks that the answer may cite; their numbers, in the same order. */
  cite: (chunks: readonly Chunk[]) => number[];
  /** Hands the turn the approval that it has to show. */
  needApproval: (approval: NeededApproval) => void;
};

/** All that a tool needs which only searches. */
export type SearchContext = Pick<ToolContext, 'tenant_id' | 'signal' | 'cite'> & {
  parts: Pick<ToolParts, 'retriever'>;
};

export type NeededApproval = { approval_id: string; quote: unknown };

export type Said = { role: 'user' | 'assistant'; content: string };

/** What tools work with; made by main.ts. */
export type ToolParts = {
  pool: Pool;
  retriever: Retriever;
  orders: OrdersClient;
  model: Model;
  prompts: Prompts;
  /** The newest messages of a conversation that are whole, oldest first. */
  recentMessages(tenantId: string, conversationId: string, limit: number): Promise<Said[]>;
  /** ISO 3166 code of the country whose phone numbers are written without a prefix. */
  piiRegion?: string;
  /** Called by name before and after each step of an effect; for tests, which end the worker there. */
  failpoint?: (name: string) => Promise<void> | void;
};

/** A failure that the model can act upon; the message is for the model and says what to do. */
export class ToolError extends Error {
  override readonly name = 'ToolError';
  readonly code: string;
  /** Further facts for the model, such as a new quote. */
  readonly details: Record<string, unknown>;

  constructor(code: string, message: string, details: Record<string, unknown> = {}, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.details = details;
  }
}

/** Keeps the types of input and output together; the default export of a file in definitions/. */
export function defineTool<I, O, C = ToolContext>(tool: Tool<I, O, C>): Tool<I, O, C> {
  return tool;
}

export type ToolOutcome =
  | {
      ok: true;
      /** JSON for the model, bounded. */
      content: string;
      summary: string;
      approval?: NeededApproval;
      /** What the answer may cite, in the order of their first numbers. */
      chunks?: Chunk[];
    }
  | { ok: false; code: string; content: string; summary: string };
