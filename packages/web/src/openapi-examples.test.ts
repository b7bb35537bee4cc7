import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { addExamples, exampleOf } from './openapi-examples.ts';

const order = { type: 'object', properties: { id: { type: 'string' } }, examples: [{ id: 'o-1' }] };
const document = { components: { schemas: { Order: order } } };
const reference = { $ref: '#/components/schemas/Order' };

describe('an example of a body', () => {
  it('is put together from those of its parts', () => {
    const page = {
      type: 'object',
      properties: {
        data: { type: 'array', items: reference },
        next_cursor: { anyOf: [{ type: 'string' }, { type: 'null' }] },
        state: { enum: ['open', 'closed'] },
        at: { type: 'string', format: 'date-time' },
      },
      required: ['data', 'next_cursor', 'state', 'at'],
    };
    assert.deepEqual(exampleOf(page, document), {
      data: [{ id: 'o-1' }],
      next_cursor: null,
      state: 'open',
      at: '2026-11-23T09:30:00.000Z',
    });
  });

  it('is none where a text that is needed tells none, and does without one that is not', () => {
    const properties = { name: { type: 'string' }, count: { type: 'integer', minimum: 3 } };
    assert.equal(exampleOf({ type: 'object', properties, required: ['name'] }, document), undefined);
    assert.deepEqual(exampleOf({ type: 'object', properties }, document), { count: 3 });
  });

  it('stands at every JSON body of the document, and in place of none that is there', () => {
    const json = (media: object) => ({ content: { 'application/json': media } });
    const own = { schema: reference, example: { id: 'mine' } };
    const responses = { 200: json({ schema: reference }), 201: json(own) };
    const made = addExamples({ ...document, paths: { '/o': { get: { responses } } } });
    const { 200: first, 201: second } = made.paths['/o'].get.responses;
    assert.deepEqual(first, json({ schema: reference, example: { id: 'o-1' } }));
    assert.deepEqual(second, json(own));
  });
});
