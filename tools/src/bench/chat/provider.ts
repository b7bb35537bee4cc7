/** A language model of a measurement: OpenAI's wire format, a fixed wait before the first token, and then between them. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';

export type Provider = {
  url: string;
  /** When an answer's connection was last closed before its end, as Date.now(). */
  closedAt(): number | undefined;
  stop(): Promise<void>;
};

/** A question with these words is answered without end. */
export const withoutEnd = 'as long as you can';

export type Pace = { firstMs: number; betweenMs: number; pieces: number };

/** Starts it on a free port. `url` is the value of OPENAI_BASE_URL. */
export async function startProvider(pace: Pace): Promise<Provider> {
  let closedAt: number | undefined;
  const server = createServer(async (req, res) => {
    let asked = '';
    for await (const piece of req) asked += String(piece);
    res.on('close', () => {
      if (!res.writableFinished) closedAt = Date.now();
    });
    await answer(res, asked.includes(withoutEnd) ? { ...pace, pieces: Number.POSITIVE_INFINITY } : pace);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The system gave no port');
  return {
    url: `http://127.0.0.1:${address.port}/v1`,
    closedAt: () => closedAt,
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
  if (res.destroyed) return;
  const usage = { prompt_tokens: 100, completion_tokens: pieces, total_tokens: 100 + pieces };
  res.write(chunk({}, 'stop'));
  res.write(`data: ${JSON.stringify({ ...envelope, choices: [], usage })}\n\n`);
  res.end('data: [DONE]\n\n');
}

const envelope = { id: 'bench', object: 'chat.completion.chunk', created: 0, model: 'bench' };
