/** Routes that are validated, typed and described at once: zod in, a handler, OpenAPI 3.2 out. */
import type { RequestHandler } from 'express';
import { type Request, type Response, Router } from 'express';
import { z } from 'zod';
import { type Authentication, hasRole, principalOf } from './auth.ts';
import { bodyLimitDefault, jsonBody } from './body.ts';
import { createDocument } from './openapi.ts';
import type { Principal, Role } from './principal.ts';
import { type FieldError, type Problem, type ProblemCode, problem } from './problems.ts';
import { stateOf } from './request-state.ts';
import { assertStrict } from './strict.ts';

export type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';
/** One role and those above it, any of several, or nobody in particular. */
export type AuthRule = 'none' | Role | readonly Role[];
/** Where an answer leads: another operation, by its method and path, and what to give it, as runtime expressions. */
export type LinkSpec = {
  to: `${Uppercase<Method>} /${string}`;
  parameters?: Record<string, string>;
  description?: string;
};
export type ResponseSpec = {
  description?: string;
  schema?: z.ZodType;
  contentType?: string;
  /** Header name → what it says. */
  headers?: Record<string, string>;
  /** When the schema's own examples do not tell it well. */
  example?: unknown;
  links?: Record<string, LinkSpec>;
  /** The same in other media types: whole, or as items that follow each other. */
  alsoAs?: Record<string, { schema?: z.ZodType; itemSchema?: z.ZodType }>;
};
/** How a caller shows who it is: by token, by `?ticket=`, or by the cookie of a stream that a ticket opened. */
export type Credential = 'bearer' | 'ticket' | 'cookie';

const nothing = z.object({});
type Nothing = typeof nothing;
const noBody = z.undefined();
type NoBody = typeof noBody;

export type RouteDefinition<
  A extends AuthRule = AuthRule,
  P extends z.ZodObject = z.ZodObject,
  Q extends z.ZodObject = z.ZodObject,
  H extends z.ZodObject = z.ZodObject,
  B extends z.ZodType = z.ZodType,
> = {
  method: Method;
  /** With OpenAPI's placeholders: `/v1/orders/{id}`. */
  path: `/${string}`;
  summary: string;
  description?: string;
  tags?: readonly string[];
  auth: A;
  /** For the document, where `auth` is none because the handler sees to it itself. */
  credentials?: readonly Credential[];
  /** What it refuses with beside what any such route does. */
  problems?: readonly ProblemCode[];
  /** What does not fit is 404: an id that is none belongs to nothing. */
  params?: P;
  /** What does not fit is 422 `invalid`. */
  query?: Q;
  /** Names in lower case; what does not fit is 400 `malformed`. */
  headers?: H;
  /** Objects in it must be strict; what does not fit is 422 `invalid`. */
  body?: B;
  /** For the document: a body that the handler reads by itself. */
  ownBody?: z.ZodType;
  responses: Record<number, z.ZodType | ResponseSpec | null>;
  maxBodyBytes?: number;
};

export type Answer = { status: number; body?: unknown; headers?: Record<string, string> };
export type RouteInput<
  A extends AuthRule,
  P extends z.ZodType,
  Q extends z.ZodType,
  H extends z.ZodType,
  B extends z.ZodType,
> = {
  params: z.output<P>;
  query: z.output<Q>;
  headers: z.output<H>;
  body: z.output<B>;
  principal: A extends 'none' ? undefined : Principal;
  req: Request;
  res: Response;
};

export type ApiOptions = {
  title: string;
  description?: string;
  version?: string;
  /** Needed as soon as a route asks for a role. */
  authentication?: Authentication;
};

export type Api = ReturnType<typeof createApi>;

export function createApi(options: ApiOptions) {
  const router = Router();
  const definitions: RouteDefinition[] = [];
  let bodyLimit = bodyLimitDefault;
  let document: object | undefined;

  /**
   * Adds a route. The handler answers by what it returns, or by itself on `res` (streams) and returns nothing.
   * Throws TypeError when a body's object would silently drop unknown fields, or a role has no authentication.
   */
  function route<
    const A extends AuthRule,
    P extends z.ZodObject = Nothing,
    Q extends z.ZodObject = Nothing,
    H extends z.ZodObject = Nothing,
    B extends z.ZodType = NoBody,
  >(
    definition: RouteDefinition<A, P, Q, H, B>,
    handler: (input: RouteInput<A, P, Q, H, B>) => Promise<Answer | undefined> | Promise<void> | Answer,
  ): void {
    const { method, path, auth, body } = definition;
    const name = `${method.toUpperCase()} ${path}`;
    if (body) assertStrict(body, name);
    definitions.push(definition);
    document = undefined;

    const steps: RequestHandler[] = [
      (req, _res, next) => {
        stateOf(req).route = path;
        next();
      },
    ];
    if (auth !== 'none') {
      if (!options.authentication)
        throw new TypeError(`${name} asks for a role, but createApi got no authentication`);
      steps.push(options.authentication.required, allow(typeof auth === 'string' ? [auth] : auth));
    }
    if (body) {
      const parsers = new Map<number, RequestHandler>();
      steps.push((req, res, next) => {
        const limit = definition.maxBodyBytes ?? bodyLimit;
        const parse = parsers.get(limit) ?? jsonBody(limit);
        parsers.set(limit, parse);
        parse(req, res, next);
      });
    }
    steps.push(async (req, res) => {
      const input = {
        ...readRequest(definition, req),
        principal: auth === 'none' ? undefined : principalOf(req),
        req,
        res,
      };
      // The one place where the types of the schemas and of their results meet.
      const answer = await handler(input as RouteInput<A, P, Q, H, B>);
      if (answer) send(res, answer);
    });
    router[method](path.replace(/\{(\w+)\}/g, ':$1'), ...steps);
  }

  return {
    route,
    router,
    /** The OpenAPI 3.2 document of all routes so far. */
    document: (): object => {
      document ??= createDocument(options, definitions);
      return document;
    },
    /** Sets the limit for routes that name none. */
    limitBodies: (bytes: number): void => {
      bodyLimit = bytes;
    },
    /** What to answer when no route matched: 405 when the path has other methods. */
    notFound: (req: Request): Problem => {
      const found = definitions.filter(({ path }) => templatePattern(path).test(req.path));
      if (found.length === 0) return problem('not_found');
      const allowed = found.map(({ method }) => method.toUpperCase()).join(', ');
      return problem('method_not_allowed', `Offered here: ${allowed}.`, { headers: { allow: allowed } });
    },
  };
}

function allow(rule: readonly Role[]): RequestHandler {
  return (req, _res, next) => {
    const principal = principalOf(req);
    next(rule.some((role) => hasRole(principal, role)) ? undefined : problem('forbidden'));
  };
}

function readRequest(definition: RouteDefinition, req: Request) {
  const { params, query, headers, body } = definition;
  return {
    params: params ? parse(params, req.params, () => problem('not_found')) : {},
    query: query ? parse(query, req.query, invalid) : {},
    headers: headers ? parse(headers, req.headers, unreadable) : {},
    body: body
      ? parse(
          body,
          req.body,
          req.body === undefined ? () => problem('malformed', 'A JSON body is required.') : invalid,
        )
      : undefined,
  };
}

function parse<S extends z.ZodType>(
  schema: S,
  value: unknown,
  fail: (errors: FieldError[]) => Problem,
): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw fail(fieldErrors(result.error));
}

const invalid = (errors: FieldError[]) => problem('invalid', undefined, { errors });
const unreadable = (errors: FieldError[]) =>
  problem('malformed', errors.map(({ path, message }) => `${path}: ${message}`).join('; '), { errors });

const fieldErrorsMax = 50;

/** One entry per fault, with the path in dots; `''` is the body itself. */
export function fieldErrors(error: z.ZodError): FieldError[] {
  return error.issues
    .slice(0, fieldErrorsMax)
    .flatMap((issue) => {
      const path = issue.path.map(String).join('.');
      if (issue.code !== 'unrecognized_keys') return [{ path, message: issue.message }];
      return issue.keys.map((key) => ({
        path: (path === '' ? key : `${path}.${key}`).slice(0, 200),
        message: 'is not a known field',
      }));
    })
    .slice(0, fieldErrorsMax);
}

function send(res: Response, { status, body, headers = {} }: Answer): void {
  res.statusCode = status;
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
  if (!res.hasHeader('cache-control')) res.setHeader('cache-control', 'no-store');
  if (body === undefined) {
    res.end();
    return;
  }
  const bytes = Buffer.from(JSON.stringify(body));
  res.setHeader('content-type', 'application/json');
  res.setHeader('content-length', bytes.length);
  res.end(bytes);
}

const patterns = new Map<string, RegExp>();

function templatePattern(path: string): RegExp {
  let pattern = patterns.get(path);
  if (pattern === undefined) {
    const escaped = path.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/\{\w+\}/g, '[^/]+');
    pattern = new RegExp(`^${escaped}/?$`, 'i');
    patterns.set(path, pattern);
  }
  return pattern;
}
