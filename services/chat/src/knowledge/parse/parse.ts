/** Documents into text, without trust: what a page or a PDF makes its reader do is bounded in time and memory. */
import { Worker } from 'node:worker_threads';
import { problem } from '@ragline/web/problems';
import { sectionsOf } from '../sections.ts';
import { boundedText, type MediaType, type Parsed, ParseError } from './parsed.ts';
import type { ParseAnswer, ParseJob } from './worker.ts';

export type ParseOptions = {
  /** Letters of text a document may have. */
  lettersMax: number;
  /** How long one may take. */
  deadlineMs: number;
  /** Documents read at a time; as many again wait, and more are refused. */
  atOnce?: number;
};

export type DocumentParser = ReturnType<typeof createParser>;

const mebibyte = 1024 * 1024;
const heapMebibytes = 192;
// Buffers are outside a thread's heap: what the process grows by while one is read.
const growthBytesMax = 512 * mebibyte;
const lookEveryMs = 50;

/** Markdown and plain text are read here; a page or a PDF by a thread that starts for it and ends with it. */
export function createParser({ lettersMax, deadlineMs, atOnce = 2 }: ParseOptions) {
  let running = 0;
  const waiting: (() => void)[] = [];

  async function inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (running >= atOnce) {
      if (waiting.length >= atOnce) throw problem('unavailable', 'Too many documents are being read.');
      await new Promise<void>((resolve) => waiting.push(resolve));
    } else running += 1;
    try {
      return await work();
    } finally {
      // Whoever waits has the place at once: nobody comes in between.
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  }

  return {
    /** Throws ParseError for what is wrong with the document, and Problem `unavailable` when too many are being read. */
    async parse(mediaType: MediaType, content: Uint8Array): Promise<Parsed> {
      const parsed =
        mediaType === 'text/markdown' || mediaType === 'text/plain'
          ? plain(content, lettersMax)
          : await inTurn(() => inThread({ mediaType, content, lettersMax }, deadlineMs));
      if (parsed.text === '') throw new ParseError('no_text');
      return parsed;
    },
  };
}

function plain(content: Uint8Array, lettersMax: number): Parsed {
  const bounded = boundedText(lettersMax);
  bounded.add(new TextDecoder().decode(content));
  const text = bounded.text();
  const [first] = sectionsOf(text).filter(({ path }) => path.length > 0);
  return { title: first?.path[0] ?? null, text };
}

function inThread(job: ParseJob, deadlineMs: number): Promise<Parsed> {
  const { promise, resolve, reject } = Promise.withResolvers<Parsed>();
  const worker = new Worker(new URL('./worker.ts', import.meta.url), {
    workerData: job,
    // It needs no secret, and what it prints is not for our log.
    env: {},
    stdout: true,
    stderr: true,
    resourceLimits: { maxOldGenerationSizeMb: heapMebibytes, maxYoungGenerationSizeMb: 32, stackSizeMb: 4 },
  });
  const startedWith = process.memoryUsage.rss();
  const giveUp = (cause?: unknown) => reject(new ParseError('too_costly', { cause }));
  const deadline = setTimeout(giveUp, deadlineMs);
  const watch = setInterval(() => {
    if (process.memoryUsage.rss() - startedWith > growthBytesMax) giveUp();
  }, lookEveryMs);
  worker.once('message', (answer: ParseAnswer) => {
    if ('parsed' in answer) resolve(answer.parsed);
    else reject(new ParseError(answer.fault, { cause: answer.reason }));
  });
  // Out of its heap's bounds, or a crash of the library.
  worker.once('error', giveUp);
  worker.once('exit', () => giveUp());
  return promise.finally(() => {
    clearTimeout(deadline);
    clearInterval(watch);
    return worker.terminate();
  });
}
