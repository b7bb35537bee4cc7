/** REST of the assistant. */
import { call } from './api.js';

export async function conversations(cursor) {
  const query = new URLSearchParams({ limit: '20', ...(cursor ? { cursor } : {}) });
  return (await call('GET', `/v1/conversations?${query}`)).data;
}

export async function open() {
  return (await call('POST', '/v1/conversations', { body: {} })).data;
}

export async function conversation(id) {
  return (await call('GET', `/v1/conversations/${id}`)).data;
}

// Of a longer conversation the first so many are shown.
const pagesMax = 10;

/** What was said, the first first. */
export async function messages(id) {
  const said = [];
  let cursor;
  for (let page = 0; page < pagesMax; page += 1) {
    const query = new URLSearchParams({ limit: '100', ...(cursor ? { cursor } : {}) });
    const { data } = await call('GET', `/v1/conversations/${id}/messages?${query}`);
    said.push(...data.data);
    cursor = data.next_cursor;
    if (!cursor) break;
  }
  return said;
}

/**
 * Asks without waiting: the answer comes as events.
 * @param {string} key the same for each try of the same question, so that it is asked once
 */
export async function ask(id, content, key) {
  const headers = { prefer: 'respond-async', 'idempotency-key': key };
  return (await call('POST', `/v1/conversations/${id}/messages`, { body: { content }, headers })).data;
}

export async function stop(id) {
  await call('POST', `/v1/conversations/${id}/stop`, { body: {} });
}

/** @param {'approve' | 'reject'} decision */
export async function decide(id, approvalId, decision) {
  const path = `/v1/conversations/${id}/approvals/${approvalId}`;
  return (await call('POST', path, { body: { decision }, headers: { prefer: 'respond-async' } })).data;
}

/** The quote that waits for a word, or what became of it. */
export async function approval(id, approvalId) {
  return (await call('GET', `/v1/conversations/${id}/approvals/${approvalId}`)).data;
}
