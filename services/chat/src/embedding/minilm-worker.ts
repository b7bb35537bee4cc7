/**
 * The thread in which all-MiniLM-L6-v2 runs: a text in, its vector out, one at a time.
 *
 * Not in batches: on one core they are no faster, and the weights' 8 bits are scaled by what else is in the batch, so
 * that the same text would get another vector beside another one.
 */
import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { Tokenizer } from '@huggingface/tokenizers';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { z } from 'zod';

export type Work = { id: number; text: string } | 'stop';
export type Done =
  | { id: number; kind: 'vector'; vector: Float32Array<ArrayBuffer> }
  | { id: number; kind: 'too-long'; tokens: number }
  | { id: number; kind: 'failed'; message: string };

const workerFiles = z.object({ model: z.string(), tokenizer: z.string(), maxTokens: z.number() });
const { model, tokenizer: tokenizerFile, maxTokens } = workerFiles.parse(workerData);
const port = parentPort;
if (port === null) throw new Error('minilm-worker.ts runs in a worker thread');

const tokenizer = new Tokenizer(JSON.parse(readFileSync(tokenizerFile, 'utf8')), {});
const session = await InferenceSession.create(model, { intraOpNumThreads: 1, interOpNumThreads: 1 });

port.on('message', (work: Work) => {
  // The last one: its sender has nothing running here. A thread that is ended from outside while the model runs takes the
  // process with it.
  if (work === 'stop') return port.close();
  answer(work).then(
    (done) => port.postMessage(done, done.kind === 'vector' ? [done.vector.buffer] : []),
    (error: unknown) => {
      const message = error instanceof Error ? error.message : String(error);
      port.postMessage({ id: work.id, kind: 'failed', message } satisfies Done);
    },
  );
});

async function answer({ id, text }: Exclude<Work, 'stop'>): Promise<Done> {
  const { ids } = tokenizer.encode(text);
  if (ids.length > maxTokens) return { id, kind: 'too-long', tokens: ids.length };
  const row = (of: (token: number) => bigint) =>
    new Tensor('int64', BigInt64Array.from(ids, of), [1, ids.length]);
  const output = await session.run({
    input_ids: row(BigInt),
    attention_mask: row(() => 1n),
    token_type_ids: row(() => 0n),
  });
  const states = output.last_hidden_state;
  if (!(states?.data instanceof Float32Array)) throw new Error('The model answered in another shape');
  return { id, kind: 'vector', vector: meanOf(states.data, ids.length) };
}

/** The mean over the tokens, made 1 long. */
function meanOf(states: Float32Array, tokens: number): Float32Array<ArrayBuffer> {
  const mean = new Float32Array(states.length / tokens);
  for (const [at, value] of states.entries()) mean[at % mean.length] = (mean[at % mean.length] ?? 0) + value;
  const length = Math.hypot(...mean);
  return mean.map((value) => value / length);
}
