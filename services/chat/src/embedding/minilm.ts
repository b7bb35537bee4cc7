/** all-MiniLM-L6-v2 with weights of 8 bits, in a thread of this process: needs no key, no network and no service. */
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { Tokenizer } from '@huggingface/tokenizers';
import type { Logger } from '@ragline/runtime/logger';
import { UnavailableError } from '@ragline/streams/errors';
import { type Embedder, type EmbeddingModel, TextTooLongError } from './embedder.ts';
import type { Done, Work } from './minilm-worker.ts';

export const minilm: EmbeddingModel = {
  id: 'minilm_l6_v2',
  version: 'int8-1',
  dimensions: 384,
  // What the model was trained on; beyond it, it reads on and understands less.
  maxTokens: 256,
};

/** A text takes 5 to 60 ms; a thread that needs so long hangs, and is started anew. */
const answerWithinMs = 30_000;
/** Chunks come a source at a time, queries one by one: more waiting means that nobody reads the answers. */
const waitingMax = 5_000;

type Job = {
  text: string;
  signal: AbortSignal | undefined;
  resolve: (vector: Float32Array) => void;
  reject: (error: unknown) => void;
};
type Running = { job: Job; id: number; timer: NodeJS.Timeout };

/**
 * Loads the tokenizer at once and the model in the background; throws Error when the files are not in the folder.
 *
 * A call with a single text, a query, goes before those with many, so that filling an index holds up no answer.
 *
 * @param folder has `model.onnx` and `tokenizer.json`
 */
export function createMiniLm({ folder, log }: { folder: string; log: Logger }): Embedder {
  const files = { model: join(folder, 'model.onnx'), tokenizer: join(folder, 'tokenizer.json') };
  for (const file of Object.values(files)) {
    if (!existsSync(file))
      throw new Error(`The embedding model is not there: EMBEDDING_MODEL_DIR lacks ${file}`);
  }
  const tokenizer = new Tokenizer(JSON.parse(readFileSync(files.tokenizer, 'utf8')), {});
  const queries: Job[] = [];
  const bulk: Job[] = [];
  let worker: Worker | undefined;
  let running: Running | undefined;
  let lastId = 0;
  let isStopped = false;

  // Read when the thread loads the runtime, which else sends its maker what it runs, and how often. Only this thread's
  // environment is the process's.
  process.env.ORT_DISABLE_TELEMETRY = '1';

  function startWorker(): Worker {
    const started = new Worker(new URL('./minilm-worker.ts', import.meta.url), {
      workerData: { ...files, maxTokens: minilm.maxTokens },
    });
    started.on('message', (done: Done) => settle(done));
    started.on('error', (error) => lose(started, error));
    started.on('exit', () => lose(started, new Error('The thread of the embedding model ended')));
    return started;
  }

  function lose(lost: Worker, cause: unknown): void {
    if (worker !== lost) return;
    worker = undefined;
    log.warn('the thread of the embedding model was lost', { error: cause });
    // If it hangs and wakes up again, it ends by itself: ended from outside, the running model would abort the process.
    lost.postMessage('stop' satisfies Work);
    lost.unref();
    const held = take();
    held?.reject(new UnavailableError('The embedding model was lost', { cause }));
    next();
  }

  function take(): Job | undefined {
    const job = running?.job;
    clearTimeout(running?.timer);
    running = undefined;
    return job;
  }

  function settle(done: Done): void {
    // An answer after the deadline of its thread is nobody's.
    if (running?.id !== done.id) return;
    const job = take();
    switch (done.kind) {
      case 'vector':
        job?.resolve(done.vector);
        break;
      case 'too-long':
        job?.reject(new TextTooLongError(done.tokens, minilm));
        break;
      case 'failed':
        job?.reject(new Error(`The embedding model failed: ${done.message}`));
        break;
      default:
        done satisfies never;
    }
    next();
  }

  function next(): void {
    if (running !== undefined || isStopped) return;
    const job = nextWanted();
    if (job === undefined) return;
    worker ??= startWorker();
    const asked = worker;
    lastId += 1;
    const timer = setTimeout(() => lose(asked, new Error('No answer in time')), answerWithinMs);
    running = { job, id: lastId, timer };
    asked.postMessage({ id: lastId, text: job.text } satisfies Work);
  }

  /** The next that nobody has given up yet. */
  function nextWanted(): Job | undefined {
    for (;;) {
      const job = queries.shift() ?? bulk.shift();
      if (!job?.signal?.aborted) return job;
      job.reject(job.signal.reason);
    }
  }

  worker = startWorker();
  return {
    model: minilm,
    countTokens: (text) => tokenizer.encode(text).ids.length,
    async embed(texts, signal) {
      const lane = texts.length === 1 ? queries : bulk;
      if (isStopped) throw new UnavailableError('The embedding model is stopped');
      if (lane.length + texts.length > waitingMax) {
        throw new UnavailableError('Too many texts wait for the embedding model');
      }
      const vectors = texts.map(
        (text) =>
          new Promise<Float32Array>((resolve, reject) => lane.push({ text, signal, resolve, reject })),
      );
      next();
      return Promise.all(vectors);
    },
    async stop() {
      isStopped = true;
      const held = [take(), ...queries.splice(0), ...bulk.splice(0)];
      for (const job of held) job?.reject(new UnavailableError('The embedding model is stopped'));
      const last = worker;
      worker = undefined;
      if (last === undefined) return;
      const ended = once(last, 'exit');
      last.postMessage('stop' satisfies Work);
      await ended;
    },
  };
}
