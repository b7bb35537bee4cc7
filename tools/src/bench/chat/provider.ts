/** A language model of a measurement: OpenAI's wire format, a fixed wait before the first token, and then between them. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';

export type Provider = { url: string; stop(): Promise<void> };

export type Pace = { firstMs: number; betweenMs: number; pieces: number };

/** Starts it on a free port. `url` is the value of OPENAI_BASE_URL. */
export async function startProvider(pace: Pace): Promise<Provider> {
  const server = createServer((req, res) => {
    // What is asked makes no difference; it is read all the same, as a real one does.
    req.resume();
    req.on('end', () => void answer(res, pace));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The system gave no port');
  return {
    url: `http://127.0.0.1:${address.port}/v1`,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function answer(res: ServerResponse, { firstMs, betweenMs, pieces }: Pace): Promise<void> {
  const began = performance.now();
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  res.flushHeaders();
  const chunk = (delta: object, finish: string | null = null) =>
    `data: ${JSON.stringify({ ...envelope, choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
  await pause(Math.max(0, firstMs - (performance.now() - began)));
  for (let i = 0; i < pieces && !res.destroyed; i += 1) {
    if (i > 0) await pause(betweenMs);
    res.write(chunk({ ...(i === 0 ? { role: 'assistant' } : {}), content: i === 0 ? 'Word' : ' word' }));
  }
  const usage = { prompt_tokens: 100, completion_tokens: pieces, total_tokens: 100 + pieces };
  res.write(chunk({}, 'stop'));
  res.write(`data: ${JSON.stringify({ ...envelope, choices: [], usage })}\n\n`);
  res.end('data: [DONE]\n\n');
}

const envelope = { id: 'bench', object: 'chat.completion.chunk', created: 0, model: 'bench' };
