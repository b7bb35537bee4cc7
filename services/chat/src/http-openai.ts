/** The assistant in OpenAI's wire format: for clients that know that one, with another base URL and token. */
import { randomUUID } from 'node:crypto';
import type { Logger } from '@ragline/runtime/logger';
import type { Api } from '@ragline/web/api';
import { type Authentication, bearerFrom, type Principal } from '@ragline/web/auth';
import { bodyLimitDefault, jsonBody } from '@ragline/web/body';
import { problem } from '@ragline/web/problems';
import { stateOf } from '@ragline/web/request-state';
import type { Request, Response } from 'express';
import { z } from 'zod';
import { CutError } from './domain.ts';
import { completionExample, openAiModelExample } from './examples.ts';
import type { Admission } from './live/admission.ts';
import { roomIn } from './live/sse.ts';
import { type CompletionEvent, type CompletionParts, complete } from './openai/complete.ts';
import { OpenAiError, openAiErrorFrom } from './openai/errors.ts';
import { type CompletionRequest, completionBody, completionRequest } from './openai/request.ts';
import { answerOf, type Head, headOf, modelName, pieces } from './openai/wire.ts';

export type OpenAiParts = CompletionParts & {
  authentication: Pick<Authentication, 'verify'>;
  admission: Admission;
  log: Logger;
};

const tags = ['openai'];
const anything = z.record(z.string(), z.unknown());
const since = Math.floor(Date.UTC(2026, 0, 1) / 1_000);

export function addOpenAiRoutes(api: Api, parts: OpenAiParts): void {
  const { authentication, log } = parts;

  /** Here errors have OpenAI's shape, also those about tokens and bodies: so both are read by the handler. */
  async function shaped(
    req: Request,
    res: Response,
    work: (principal: Principal) => Promise<void>,
  ): Promise<void> {
    try {
      const token = bearerFrom(req.headers.authorization);
      if (token === undefined) throw problem('unauthenticated', 'Send an access token as the API key.');
      const principal = await authentication.verify(token);
      stateOf(req).principal = principal;
      await work(principal);
    } catch (error) {
      const { status, headers, told } = openAiErrorFrom(error);
      if (res.destroyed) return;
      if (status >= 500) log.warn('completion failed', { code: told.code, error });
      if (res.headersSent) {
        res.end(`data: ${JSON.stringify({ error: told })}\n\n`);
        return;
      }
      for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
      sendJson(res, status, { error: told });
    }
  }

  async function answer(req: Request, res: Response, principal: Principal): Promise<void> {
    const request = completionRequest(await bodyOf(req, res));
    const ending = new AbortController();
    const { leave } = parts.admission.enter(principal, () => ending.abort(problem('unauthenticated')));
    const timer = setTimeout(() => ending.abort(new CutError('deadline')), parts.deadlineMs);
    // Nobody can come back for it: what is read by nobody is not paid for.
    res.on('close', () => ending.abort(new CutError('stop')));
    try {
      const head = headOf(randomUUID());
      const events = complete(parts, principal, request, ending.signal);
      if (request.isStream) await stream(res, head, request, events, ending.signal);
      else sendJson(res, 200, await answerOf(head, events));
    } finally {
      clearTimeout(timer);
      leave();
    }
  }

  api.route(
    {
      method: 'post',
      path: '/v1/openai/chat/completions',
      summary: 'A completion in OpenAI’s wire format, from what the tenant knows',
      description:
        'As `POST /chat/completions` of OpenAI, streamed or not, errors too; an access token is the API key, and any `model` is taken. Sources are found by the last question and cited as [1]; `citations` lists them. `tools` are the caller’s: their calls are given back and never run here, and the assistant’s own tools are not offered. Nothing is kept but the record of the call and what it used. `n`, `stop`, `logprobs`, `functions` and `response_format` are refused; temperature and the like are left aside.',
      tags,
      auth: 'none',
      credentials: ['bearer'],
      ownBody: completionBody,
      problems: ['budget_exhausted', 'bad_gateway', 'gateway_timeout'],
      responses: {
        200: {
          description: 'A chat.completion, or a stream of chat.completion.chunk, ended by `data: [DONE]`.',
          schema: anything,
          example: completionExample,
          alsoAs: { 'text/event-stream': { itemSchema: z.object({ data: z.string() }) } },
        },
      },
    },
    ({ req, res }) => shaped(req, res, (principal) => answer(req, res, principal)),
  );

  const model = { id: modelName, object: 'model', created: since, owned_by: 'ragline' };

  api.route(
    {
      method: 'get',
      path: '/v1/openai/models/{model}',
      summary: 'One model, in OpenAI’s wire format',
      tags,
      auth: 'none',
      credentials: ['bearer'],
      params: z.object({ model: z.string().meta({ description: 'Its id.' }) }),
      responses: { 200: { schema: anything, example: openAiModelExample } },
    },
    ({ params, req, res }) =>
      shaped(req, res, async () => {
        if (params.model !== modelName) {
          const told = { message: 'There is no such model', param: 'model', code: 'model_not_found' };
          throw new OpenAiError(404, told);
        }
        sendJson(res, 200, model);
      }),
  );

  api.route(
    {
      method: 'get',
      path: '/v1/openai/models',
      summary: 'The models, in OpenAI’s wire format',
      tags,
      auth: 'none',
      credentials: ['bearer'],
      responses: {
        200: {
          schema: z.object({ object: z.literal('list'), data: z.array(anything) }),
          example: { object: 'list', data: [openAiModelExample] },
        },
      },
    },
    ({ req, res }) =>
      shaped(req, res, async () => {
        sendJson(res, 200, { object: 'list', data: [model] });
      }),
  );
}

/** The head is sent with the first piece: until then an error has a status of its own. */
async function stream(
  res: Response,
  head: Head,
  { hasUsage }: CompletionRequest,
  events: AsyncIterable<CompletionEvent>,
  signal: AbortSignal,
): Promise<void> {
  for await (const piece of pieces(head, events, { hasUsage })) {
    if (!res.headersSent) {
      res.writeHead(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store, no-transform',
        'x-accel-buffering': 'no',
      });
    }
    if (res.destroyed) return;
    if (res.write(`data: ${JSON.stringify(piece)}\n\n`)) continue;
    await roomIn(res, signal);
    // It has not taken what it has: nothing more is said to it.
    if (signal.aborted) return void res.destroy();
  }
  res.end('data: [DONE]\n\n');
}

function bodyOf(req: Request, res: Response): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  parseBody(req, res, (error?: unknown) => {
    if (error === undefined || error === null) resolve(req.body);
    else reject(error);
  });
  return promise;
}

const parseBody = jsonBody(bodyLimitDefault);

function sendJson(res: Response, status: number, body: object): void {
  res.statusCode = status;
  res.setHeader('content-type', 'application/json');
  res.setHeader('cache-control', 'no-store');
  res.end(JSON.stringify(body));
}
