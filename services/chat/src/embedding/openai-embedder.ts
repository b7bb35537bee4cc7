/** Vectors from OpenAI, or from whatever speaks its protocol. */
import { type BreakerError, createBreaker } from '@ragline/runtime/breaker';
import type { Metrics } from '@ragline/runtime/metrics';
import { PermanentError, UnavailableError } from '@ragline/streams/errors';
import { countTokens as count } from 'gpt-tokenizer/encoding/cl100k_base';
import OpenAI, { APIError } from 'openai';
import { z } from 'zod';
import { countingInPieces } from './counting.ts';
import { type Embedder, type EmbeddingModel, TextTooLongError } from './embedder.ts';

export type OpenAiEmbedderOptions = {
  /** With `/v1`. */
  baseUrl: string;
  apiKey: string;
  /** As the endpoint calls it. */
  name: string;
  dimensions: number;
  maxTokens: number;
  timeoutMs: number;
  metrics: Metrics;
};

/** The protocol's bounds of one request. */
const textsMax = 256;
const tokensMax = 200_000;

// Asked for as base64; an endpoint that knows only numbers sends numbers.
const answerShape = z.object({
  data: z.array(
    z.object({ index: z.number().int().min(0), embedding: z.union([z.string(), z.array(z.number())]) }),
  ),
});

/** The id under which the vectors of a model elsewhere are kept. */
export function openAiModelId(name: string, dimensions: number): string {
  return `openai:${name}:${dimensions}`;
}

/**
 * An embedder behind a breaker. A refused text throws PermanentError; everything else that goes wrong, a refused key
 * too, throws UnavailableError: it is no fault of the text, and is over when somebody mends it.
 *
 * Tokens are counted as OpenAI's embedding models count them: for another's model an estimate.
 */
export function createOpenAiEmbedder(options: OpenAiEmbedderOptions): Embedder {
  const { baseUrl, apiKey, name, dimensions, maxTokens, timeoutMs, metrics } = options;
  const model: EmbeddingModel = {
    id: openAiModelId(name, dimensions),
    version: name,
    dimensions,
    maxTokens,
  };
  const client = new OpenAI({
    baseURL: baseUrl,
    apiKey,
    // Nothing but the settings counts, whatever else stands in the environment.
    organization: null,
    project: null,
    logLevel: 'off',
    timeout: timeoutMs,
    maxRetries: 1,
  });
  const breaker = createBreaker({
    // Of each model: one that is filled beside another may be away alone.
    name: `embeddings:${name}`,
    // Twice: the client tries once more.
    timeoutMs: 2 * timeoutMs + 1_000,
    metrics,
    isHarmless: isRefusal,
    call: (input: string[], signal: AbortSignal | undefined): Promise<unknown> =>
      client.embeddings.create(
        { model: name, input, encoding_format: 'base64', ...sizeFor(name, dimensions) },
        { signal: signal ?? null },
      ),
  });

  async function ask(input: string[], signal: AbortSignal | undefined): Promise<Float32Array[]> {
    signal?.throwIfAborted();
    try {
      return vectorsOf(await breaker.fire(input, signal), input.length, dimensions);
    } catch (error) {
      signal?.throwIfAborted();
      throw errorOf(error);
    }
  }

  return {
    model,
    countTokens,
    async embed(texts, signal) {
      const vectors: Float32Array[] = [];
      for (const batch of batchesOf(texts, model)) vectors.push(...(await ask(batch, signal)));
      return vectors;
    },
    stop: async () => breaker.stop(),
  };
}

// A text that spells a special token is text like any other.
const plain = { disallowedSpecial: new Set<string>() };

const countTokens = countingInPieces((text) => count(text, plain));

/** Only these know the parameter; others refuse it. */
function sizeFor(name: string, dimensions: number): { dimensions?: number } {
  return name.includes('text-embedding-3') ? { dimensions } : {};
}

function batchesOf(texts: readonly string[], model: EmbeddingModel): string[][] {
  const batches: string[][] = [];
  let room = 0;
  for (const text of texts) {
    const tokens = countTokens(text);
    if (tokens > model.maxTokens) throw new TextTooLongError(tokens, model);
    const last = batches.at(-1);
    if (last === undefined || last.length === textsMax || tokens > room) {
      batches.push([text]);
      room = tokensMax - tokens;
    } else {
      last.push(text);
      room -= tokens;
    }
  }
  return batches;
}

/** The vectors in the order of their texts, 1 long each; throws UnavailableError for an answer that is none. */
function vectorsOf(answer: unknown, texts: number, dimensions: number): Float32Array[] {
  const parsed = answerShape.safeParse(answer);
  if (!parsed.success) throw new UnavailableError('The embedding endpoint answered in another shape');
  const vectors: Float32Array[] = [];
  for (const { index, embedding } of parsed.data.data) vectors[index] = unitOf(embedding);
  const isWhole = vectors.length === texts && Object.keys(vectors).length === texts;
  if (!isWhole || vectors.some(({ length }) => length !== dimensions)) {
    throw new UnavailableError(
      `The embedding endpoint did not answer with ${texts} vectors of ${dimensions}`,
    );
  }
  return vectors;
}

function unitOf(embedding: string | number[]): Float32Array {
  const vector = typeof embedding === 'string' ? floatsOf(embedding) : Float32Array.from(embedding);
  const length = Math.hypot(...vector);
  if (!(length > 0 && length < Number.POSITIVE_INFINITY)) {
    throw new UnavailableError('The embedding endpoint answered with a vector without a direction');
  }
  return vector.map((value) => value / length);
}

function floatsOf(base64: string): Float32Array {
  const bytes = Buffer.from(base64, 'base64');
  return Float32Array.from({ length: bytes.length >> 2 }, (_, at) => bytes.readFloatLE(at * 4));
}

function isRefusal(error: unknown): boolean {
  return error instanceof APIError && (error.status === 400 || error.status === 422);
}

function errorOf(error: unknown): Error {
  // Without the endpoint's own words: they may repeat the text.
  if (isRefusal(error))
    return new PermanentError('embedding_refused', 'The embedding endpoint refused a text');
  if (error instanceof UnavailableError) return error;
  const status = error instanceof APIError && error.status !== undefined ? ` (${error.status})` : '';
  const why = isBreakerError(error) ? error.message : `The embedding endpoint cannot be asked${status}`;
  return new UnavailableError(why);
}

function isBreakerError(error: unknown): error is BreakerError {
  return error instanceof Error && error.name === 'BreakerError';
}
