/** Reads one document in a thread of its own, which is ended when it takes too long or too much. */
import { parentPort, workerData } from 'node:worker_threads';
import { parseHtml } from './html.ts';
import { type MediaType, type Parsed, ParseError, type ParseFault } from './parsed.ts';

export type ParseJob = { mediaType: MediaType; content: Uint8Array; lettersMax: number };
export type ParseAnswer = { parsed: Parsed } | { fault: ParseFault; reason: string };

const job: ParseJob = workerData;
const answer = await parse(job).then(
  (parsed): ParseAnswer => ({ parsed }),
  (error: unknown): ParseAnswer => ({
    fault: error instanceof ParseError ? error.fault : 'unreadable',
    reason: error instanceof Error ? error.message : String(error),
  }),
);
parentPort?.postMessage(answer);

async function parse({ mediaType, content, lettersMax }: ParseJob): Promise<Parsed> {
  if (mediaType === 'text/html') return parseHtml(new TextDecoder().decode(content), lettersMax);
  // Loaded for a PDF alone: it is large.
  const { parsePdf } = await import('./pdf.ts');
  return parsePdf(content, lettersMax);
}
