/**
 * The offline responder: what answers when no language model is set up. Deterministic and extractive: it says only what
 * stands in the sources, calls the same tools as a model would, and says once in a conversation what it is.
 */
import { setImmediate as nextTurnOfTheLoop } from 'node:timers/promises';
import type { Embedder } from '../../embedding/embedder.ts';
import type { Model, ModelEvent, ModelRequest, ToolCall } from '../model.ts';
import { countedUsage, type Observer } from '../observe.ts';
import { nextStep } from './decide.ts';
import { createIntents, type Intents } from './intents.ts';
import { rememberingEmbedder } from './memory.ts';
import { answering } from './passages.ts';
import { sceneOf } from './scene.ts';
import type { Step } from './step.ts';
import { summaryOf } from './summary.ts';
import { languageOf, offlineNote, saysOffline } from './wording.ts';

const offlineName = 'offline';
const contextTokens = 16_000;

export type OfflineOptions = {
  embedder: Pick<Embedder, 'embed'>;
  observe: Observer;
  countTokens: (text: string) => number;
};

export type OfflineModel = Model & {
  /** Reads ahead what the first question would wait for. */
  warm(): void;
};

export function createOfflineModel({ embedder, observe, countTokens }: OfflineOptions): OfflineModel {
  const intents = createIntents(embedder);
  const remembered = rememberingEmbedder(embedder);

  async function* events(request: ModelRequest): AsyncGenerator<ModelEvent, void> {
    const step = await stepFor(request, { intents, embedder: remembered(request.who.tenant_id) });
    request.signal.throwIfAborted();
    const usage = (written: string) => countedUsage(request, written, countTokens);
    if (step.kind === 'call') {
      const calls = step.calls.map((it, at) => callOf(request, it, at));
      yield { kind: 'tool_calls', calls };
      const written = calls.map((it) => it.name + it.arguments).join(' ');
      return yield { kind: 'end', finish: 'tool_calls', usage: usage(written), model: offlineName };
    }
    const text = withNote(step.text, request);
    for (const piece of piecesOf(text)) {
      yield { kind: 'text', text: piece };
      // So that a stop, and other turns, come in between.
      await nextTurnOfTheLoop();
      request.signal.throwIfAborted();
    }
    yield { kind: 'end', finish: 'stop', usage: usage(text), model: offlineName };
  }

  return {
    contextTokens,
    countTokens,
    isOffline: true,
    warm: intents.warm,
    stream: (request) => observe(request, { endpoint: offlineName, model: offlineName }, events(request)),
  };
}

type Parts = { intents: Intents; embedder: Pick<Embedder, 'embed'> };

async function stepFor(request: ModelRequest, { intents, embedder }: Parts): Promise<Step> {
  if (request.purpose === 'summary') return { kind: 'say', text: await summaryOf(request, embedder) };
  const scene = sceneOf(request);
  const guess = await intents.intentOf(scene.question, request.signal);
  return nextStep(scene, guess, {
    answering: (question, passages) => answering(question, passages, embedder, request.signal),
  });
}

/** Ids are the same for the same turn, so that a turn that runs again makes the same calls. */
function callOf(
  { messages }: ModelRequest,
  { name, input }: { name: string; input: object },
  at: number,
): ToolCall {
  return { id: `offline_${messages.length}_${at}`, name, arguments: JSON.stringify(input) };
}

function withNote(text: string, { purpose, messages }: ModelRequest): string {
  const isSaid = messages.some(({ role, content }) => role !== 'user' && saysOffline(content));
  if (purpose === 'summary' || purpose === 'analysis' || isSaid) return text;
  const question = messages.findLast(({ role }) => role === 'user')?.content ?? '';
  return `${text}\n\n${offlineNote[languageOf(question)]}`;
}

/** A few words at a time; joined they are the text. */
export function* piecesOf(text: string): Generator<string, void> {
  for (const [piece] of text.matchAll(/(?:\S*\s+){1,3}\S*$|(?:\S*\s+){3}|\S+/g)) yield piece;
}
