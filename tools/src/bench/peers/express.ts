/** Express 5 with nothing on it: what an afternoon makes of POST /v1/orders. */
import express from 'express';
import { callers, placing, setting } from './place.ts';

const callerOf = callers();
const place = await placing();
const app = express();
app.use(express.json());

app.get('/healthz', (_req, res) => void res.json({ status: 'live' }));

app.post('/v1/orders', async (req, res) => {
  const caller = await callerOf(req.headers.authorization);
  const { id, text } = await place(caller, String(req.headers['idempotency-key']), req.body);
  res.status(201).location(`/v1/orders/${id}`).type('json').send(text);
});

app.listen(Number(setting('PORT')), setting('HOST'));
