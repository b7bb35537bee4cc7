/** Fastify 5 with nothing on it: the quickest of the well-known frameworks, for the same work. */
import Fastify from 'fastify';
import { callers, type PlaceBody, placing, setting } from './place.ts';

const callerOf = callers();
const place = await placing();
const app = Fastify();

app.get('/healthz', async () => ({ status: 'live' }));

app.post<{ Body: PlaceBody }>('/v1/orders', async (request, reply) => {
  const caller = await callerOf(request.headers.authorization);
  const { id, text } = await place(caller, String(request.headers['idempotency-key']), request.body);
  return reply.code(201).header('location', `/v1/orders/${id}`).type('application/json').send(text);
});

await app.listen({ port: Number(setting('PORT')), host: setting('HOST') });
