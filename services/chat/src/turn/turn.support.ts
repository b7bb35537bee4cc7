/** For tests of turns: what is found, what was said, a model that says what it is told to. */
import { randomUUIDv7 } from 'node:crypto';
import type { Model, ModelEvent, ModelRequest } from '../model/model.ts';
import type { Chunk } from '../retrieval/chunk.ts';
import type { PastTurn } from './store.ts';

export function aChunk(changes: Partial<Chunk> = {}): Chunk {
  return {
    id: randomUUIDv7(),
    source_id: randomUUIDv7(),
    kind: 'faq',
    title: 'Opening hours',
    header: 'FAQ: Opening hours',
    text: 'We are open from nine to ten.',
    score: 0.9,
    tokens: 8,
    category: null,
    tags: [],
    allergens: [],
    price: null,
    currency: null,
    available: null,
    source: 'faq/hours',
    changed_at: '2026-01-01T00:00:00.000Z',
    ...changes,
  };
}

export function aPastTurn(changes: Partial<PastTurn> = {}): PastTurn {
  return { turn_id: randomUUIDv7(), position: 2, question: 'Are you open?', answer: 'Yes.', ...changes };
}

/** What a model of a test says to one request: pieces of text, calls of tools, or an error that it throws. */
export type Script = (request: ModelRequest, call: number) => AsyncIterable<ModelEvent> | ModelEvent[];

export function aModel(script: Script, changes: Partial<Model> = {}): Model & { requests: ModelRequest[] } {
  const requests: ModelRequest[] = [];
  return {
    contextTokens: 8_000,
    countTokens: (text) => Math.ceil(text.length / 4),
    isOffline: false,
    requests,
    async *stream(request) {
      requests.push(request);
      yield* script(request, requests.length);
    },
    ...changes,
  };
}

/** A whole answer in pieces. */
export function saying(...pieces: string[]): ModelEvent[] {
  return [...pieces.map((text): ModelEvent => ({ kind: 'text', text })), ended('stop')];
}

/** A round that calls tools. */
export function calling(...names: string[]): ModelEvent[] {
  const calls = names.map((name, i) => ({ id: `call-${i + 1}`, name, arguments: '{}' }));
  return [{ kind: 'tool_calls', calls }, ended('tool_calls')];
}

export function ended(finish: 'stop' | 'tool_calls' | 'length'): ModelEvent {
  return { kind: 'end', finish, usage: { input_tokens: 10, output_tokens: 5 }, model: 'test-model' };
}
