/** Requests whose answers are held against the OpenAPI document. */
import assert from 'node:assert/strict';
import { type HttpAnswer, type HttpRequest, httpTo } from '../support/http.ts';
import { type Json, objectAt, operationsOf, resolved, validatorOf } from './openapi-faults.ts';

export type Documented = ReturnType<typeof documented>;

/** Headers of ours: where one of them is answered, the document has to say so. */
const named = ['ETag', 'Location', 'Retry-After', 'Stream-Position', 'Idempotent-Replayed', 'X-Request-Id'];

/** @param document the one that `origin` serves */
export function documented(origin: string, document: Json) {
  const http = httpTo(origin);
  const operations = operationsOf(document);
  const fault = validatorOf(document, { isClosed: true });

  /**
   * Asks, and fails unless status, media type, body and headers are as the document has them.
   *
   * @param id method and path as the document has it, such as `GET /v1/orders/{id}`
   */
  return async (
    id: string,
    {
      params = {},
      query = '',
      ...request
    }: HttpRequest & { params?: Record<string, string>; query?: string } = {},
    expected = 200,
    // biome-ignore lint/suspicious/noExplicitAny: the test reads the fields it asserts on; all were held against the document.
  ): Promise<HttpAnswer<any>> => {
    const operation = operations.find((it) => it.id === id);
    assert.ok(operation, `${id} is not in the document`);
    const path = operation.path.replace(/\{(\w+)\}/g, (_, name) => params[name] ?? '');
    const answer = await http(operation.method.toUpperCase(), path + query, request);
    assert.equal(answer.status, expected, `${id}: ${answer.text}`);
    const responses = objectAt(operation.value, 'responses');
    assert.ok(responses[expected] !== undefined, `${id} does not tell of ${expected}`);
    const response = resolved(document, responses[expected]);
    const headers = Object.keys(objectAt(response, 'headers'));
    const untold = named.filter((name) => answer.headers.has(name) && !headers.includes(name));
    assert.deepEqual(untold, [], `${id} ${expected} has headers that the document has not`);
    if (answer.text === '') return answer;
    const type = answer.headers.get('content-type')?.split(';')[0] ?? '';
    const media = objectAt(objectAt(response, 'content'), type);
    assert.ok(media.schema !== undefined, `${id} ${expected} is not told as ${type}`);
    const found = fault(media.schema, answer.body);
    assert.equal(found, undefined, `${id} ${expected}: ${found}\n${answer.text.slice(0, 1_000)}`);
    return answer;
  };
}
