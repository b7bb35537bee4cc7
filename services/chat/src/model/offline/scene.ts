/** What the offline responder sees of a turn: the question, what was said before, and what tools have answered. */
import type { Chunk } from '../../retrieval/chunk.ts';
import type { ChatMessage, ModelRequest } from '../model.ts';
import { type Dish, dishesFound, dishOf, distinct } from './dishes.ts';
import { type Language, languageOf } from './wording.ts';

export type Called = {
  tool: string;
  input: Record<string, unknown>;
  /** As the tool answered; undefined when that was no JSON. */
  result: unknown;
};

export type Passage = { chunk: Chunk; citation: number };

export type Scene = {
  question: string;
  language: Language;
  /** Before the question, oldest first, without calls of tools. */
  earlier: { role: 'user' | 'assistant'; text: string }[];
  /** What tools have answered to this question, one list a round. */
  rounds: Called[][];
  /** Every dish at hand, from retrieval and from tools. */
  dishes: Dish[];
  /** What is no dish, best first. */
  passages: Passage[];
  /** Best first, dishes included. */
  found: Passage[];
  tools: ReadonlySet<string>;
};

export function sceneOf({ messages, knowledge, tools }: ModelRequest): Scene {
  const at = messages.findLastIndex(({ role }) => role === 'user');
  const question = messages[at]?.content ?? '';
  const rounds = roundsOf(messages.slice(at + 1));
  const found = knowledge.map((chunk, index) => ({ chunk, citation: index + 1 }));
  const menu = found.filter(({ chunk }) => chunk.kind === 'menu').map((it) => dishOf(it.chunk, it.citation));
  return {
    question,
    language: languageOf(question),
    earlier: messages.slice(0, Math.max(0, at)).flatMap(({ role, content }) => {
      if ((role !== 'user' && role !== 'assistant') || content === '') return [];
      return [{ role, text: content }];
    }),
    rounds,
    dishes: distinct([...menu, ...rounds.flat().flatMap(({ result }) => dishesFound(result))]),
    passages: found.filter(({ chunk }) => chunk.kind !== 'menu'),
    found,
    tools: new Set(tools.map(({ name }) => name)),
  };
}

function roundsOf(messages: readonly ChatMessage[]): Called[][] {
  const results = new Map(messages.flatMap((it) => (it.tool_call_id ? [[it.tool_call_id, it.content]] : [])));
  return messages
    .filter(({ tool_calls = [] }) => tool_calls.length > 0)
    .map(({ tool_calls = [] }) =>
      tool_calls.map((call) => ({
        tool: call.name,
        input: recordFrom(call.arguments),
        result: jsonFrom(results.get(call.id) ?? ''),
      })),
    );
}

/** The dishes of a tool's result, with what retrieval knows of them. */
export function dishesIn({ found }: Pick<Scene, 'found'>, result: unknown): Dish[] {
  return dishesFound(result).map((dish) => {
    const score = found.find(({ chunk }) => chunk.source_id === dish.id)?.chunk.score;
    return score === undefined ? dish : { ...dish, score };
  });
}

export function calledTool(scene: Scene, tool: string): Called[] {
  return scene.rounds.flat().filter((called) => called.tool === tool);
}

/** The error that a tool told instead of a result. */
export function errorOf(result: unknown): { code: string; message: string } | undefined {
  const error = recordOf(recordOf(result).error);
  const { code, message } = error;
  return typeof code === 'string'
    ? { code, message: typeof message === 'string' ? message : code }
    : undefined;
}

export function recordOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function recordFrom(text: string): Record<string, unknown> {
  return recordOf(jsonFrom(text));
}

function jsonFrom(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
