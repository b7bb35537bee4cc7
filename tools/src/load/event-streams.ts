/** Many readers of one tenant's orders over SSE, and what each of them saw. */
import { setTimeout as pause } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { z } from 'zod';
import { spread } from '../parts/numbers.ts';
import type { Settings } from '../parts/settings.ts';
import { signIn } from './users.ts';

/** Events that some stream saw and another did not are missing; ms from the row's time to the stream. */
export type StreamFigures = {
  streams: number;
  events: number;
  missing: number;
  doubled: number;
  ms: ReturnType<typeof spread>;
};

const eventShape = z.object({ id: z.string(), occurred_at: z.iso.datetime() });
const settleWithinMs = 15_000;

export async function openStreams(settings: Settings, tenant: string, count: number) {
  const token = await signIn(settings, tenant, `staff@${tenant}.example`);
  const agent = new Agent({ connections: count, pipelining: 1, bodyTimeout: 0 });
  const ending = new AbortController();
  const seenBy: Map<string, number>[] = [];
  const waits: number[] = [];

  for (let i = 0; i < count; i += 1) {
    const seen = new Map<string, number>();
    seenBy.push(seen);
    const { statusCode, body } = await request(`${settings.get('RAGLINE_URL')}/v1/events/orders`, {
      headers: { authorization: `Bearer ${token}`, accept: 'text/event-stream' },
      dispatcher: agent,
      signal: ending.signal,
    });
    if (statusCode !== 200) throw new Error(`A stream was refused: ${statusCode} ${await body.text()}`);
    void read(body.setEncoding('utf8'), ({ id, occurred_at }) => {
      seen.set(id, (seen.get(id) ?? 0) + 1);
      waits.push(Date.now() - Date.parse(occurred_at));
    }).catch(() => {});
  }

  const known = () => new Set(seenBy.flatMap((seen) => [...seen.keys()]));
  return {
    /** Waits until every stream has seen every event that any has seen, for 15 s at most. */
    async settle(): Promise<StreamFigures> {
      const deadline = performance.now() + settleWithinMs;
      while (performance.now() < deadline && seenBy.some((seen) => seen.size < known().size))
        await pause(200);
      const all = known();
      return {
        streams: count,
        events: all.size,
        missing: seenBy.reduce((sum, seen) => sum + all.size - seen.size, 0),
        doubled: seenBy.reduce((sum, seen) => sum + [...seen.values()].filter((n) => n > 1).length, 0),
        ms: spread(waits),
      };
    },
    async close(): Promise<void> {
      ending.abort();
      await agent.destroy();
    },
  };
}

/** https://html.spec.whatwg.org/multipage/server-sent-events.html: blocks end with an empty line. */
async function read(
  body: AsyncIterable<string>,
  onEvent: (event: z.infer<typeof eventShape>) => void,
): Promise<void> {
  let rest = '';
  for await (const chunk of body) {
    const blocks = (rest + chunk).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const data = block.split('\n').find((text) => text.startsWith('data:'));
      const event = eventShape.safeParse(data && JSON.parse(data.slice('data:'.length)));
      if (event.success) onEvent(event.data);
    }
  }
}
