/** The dead-letters service as a process that a test may kill, and its API as an operator sees it. */
import assert from 'node:assert/strict';
import { type Http, httpTo } from '../support/http.ts';
import { type OwnService, startService } from '../support/service.ts';
import { startTokens } from '../support/tokens.ts';

export type LettersService = Awaited<ReturnType<typeof openLettersService>>;

export async function openLettersService(settings: Record<string, string> = {}) {
  const tokens = await startTokens();
  const start = (): Promise<OwnService> =>
    startService('dead-letters', {
      role: 'ragline_dead_letters',
      settings: {
        JWKS_URL: tokens.settings.jwksUrl,
        TOKEN_ISSUER: tokens.settings.issuer,
        TOKEN_AUDIENCE: tokens.settings.audience,
        DISCOVER_EVERY_MS: '500',
        ...settings,
      },
    });
  const token = await tokens.token({ roles: ['operator'], lastsMs: 3_600_000 });
  let service = await start();
  let http: Http = httpTo(service.origin);

  /** Asserts the status, and gives the body. */
  // biome-ignore lint/suspicious/noExplicitAny: as in tests/support/http.ts.
  async function ask(method: string, path: string, body: unknown, expected: number): Promise<any> {
    const answer = await http(method, path, { token, ...(body === undefined ? {} : { body }) });
    assert.equal(answer.status, expected, `${method} ${path}: ${answer.text}`);
    return answer.body;
  }

  return {
    ask,
    // biome-ignore lint/suspicious/noExplicitAny: as above.
    get: (path: string): Promise<any> => ask('GET', path, undefined, 200),
    /** Any status, and undefined when the service died over it. */
    attempt: (method: string, path: string, body?: unknown) =>
      http(method, path, { token, ...(body === undefined ? {} : { body }) }).catch(() => undefined),
    kill: () => service.kill(),
    output: () => service.output(),
    async start(): Promise<void> {
      service = await start();
      http = httpTo(service.origin);
    },
    /** The group's letters by state; states without any are left out. */
    async states(groupId: string): Promise<Record<string, number>> {
      const { groups } = await ask('GET', '/v1/dead-letters/stats', undefined, 200);
      const own = groups.find(({ group }: { group: string }) => group === groupId);
      const all: [string, number][] = Object.entries(own?.states ?? {});
      return Object.fromEntries(all.filter(([, count]) => count > 0));
    },
    /** All letters of the group, oldest last. */
    async letters(groupId: string): Promise<Letter[]> {
      const found: Letter[] = [];
      for await (const letter of pages(ask, groupId)) found.push(letter);
      return found;
    },
    async close(): Promise<void> {
      await service.stop();
      await tokens.stop();
    },
  };
}

export type Letter = { id: string; state: string; event_id: string; key: string; version: number };

async function* pages(
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  ask: (method: string, path: string, body: unknown, expected: number) => Promise<any>,
  groupId: string,
): AsyncGenerator<Letter> {
  for (let cursor: string | null = ''; cursor !== null; ) {
    const more: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const page: { data: Letter[]; next_cursor: string | null } = await ask(
      'GET',
      `/v1/dead-letters?group=${groupId}&limit=200${more}`,
      undefined,
      200,
    );
    yield* page.data;
    cursor = page.next_cursor;
  }
}
