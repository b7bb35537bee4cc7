/** Whether the endpoint can be asked, by one call that costs nothing: `GET /models`. Tells neither key nor address in full. */
import { text as textOf } from 'node:stream/consumers';
import type { EmbeddingSettings } from '../embedding/settings.ts';
import type { ModelSettings } from './settings.ts';

export type Reachable = {
  provider: 'offline' | 'openai';
  /** Who answers: `gpt-4.1-mini at api.openai.com`, or `the offline responder`. */
  answers_by: string;
  /** `warning`: it answers, but not as it should. */
  state: 'ok' | 'warning' | 'broken';
  detail: string;
  /** What to do; null when nothing is to be done. */
  mend: string | null;
};

export type ReachableSettings = {
  model: Pick<ModelSettings, 'provider' | 'apiKey' | 'baseUrl' | 'model' | 'fallbackModels'>;
  embedding: Pick<EmbeddingSettings, 'provider' | 'model'>;
};

const withinMs = 5_000;
const listBytesMax = 8 * 1024 * 1024;

/** Never throws. */
export async function reachable({ model, embedding }: ReachableSettings): Promise<Reachable> {
  const isAsked = model.provider === 'openai';
  const { host } = new URL(model.baseUrl);
  const names = [
    ...(isAsked ? [model.model, ...model.fallbackModels.filter((name) => name !== 'offline')] : []),
    ...(embedding.provider === 'openai' ? [embedding.model] : []),
  ];
  const who = {
    provider: model.provider,
    answers_by: isAsked ? `${model.model} at ${host}` : 'the offline responder',
  };
  if (names.length === 0) {
    return {
      ...who,
      state: 'ok',
      detail: 'no key and no address of a model is set',
      mend: null,
    };
  }
  try {
    const url = `${model.baseUrl.replace(/\/+$/, '')}/models`;
    const headers: Record<string, string> = {
      accept: 'application/json',
      ...(model.apiKey === undefined ? {} : { authorization: `Bearer ${model.apiKey}` }),
    };
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(withinMs) });
    const length = Number(response.headers.get('content-length') ?? 0);
    if (!response.ok || length > listBytesMax) await response.body?.cancel();
    const listed = response.ok && length <= listBytesMax && response.body ? await textOf(response.body) : '';
    return {
      ...who,
      ...verdictOn({ host, status: response.status, listed, names, hasKey: model.apiKey !== undefined }),
    };
  } catch (error) {
    const detail = `${host} does not answer (${reasonOf(error)})`;
    return { ...who, state: 'broken', detail, mend: mendOfAddress };
  }
}

type Seen = { host: string; status: number; listed: string; names: readonly string[]; hasKey: boolean };

const mendOfAddress =
  'is OPENAI_BASE_URL right, and the endpoint up? (without a model: CHAT_PROVIDER=offline)';

/** What an answer to `GET /models` says. */
export function verdictOn({
  host,
  status,
  listed,
  names,
  hasKey,
}: Seen): Pick<Reachable, 'state' | 'detail' | 'mend'> {
  if (status === 401 || status === 403) {
    const key = hasKey ? 'refuses the key' : 'wants a key';
    return {
      state: 'broken',
      detail: `${host} ${key} (${status})`,
      mend: 'set OPENAI_API_KEY to a key of that endpoint',
    };
  }
  if (status === 404 || status === 405) {
    // Some have no list, and answer all the same.
    const mend = 'does OPENAI_BASE_URL end as the endpoint wants it, as a rule with /v1?';
    return { state: 'warning', detail: `${host} answers, but has no list of models (${status})`, mend };
  }
  if (status === 429) {
    return {
      state: 'warning',
      detail: `${host} answers that it is asked too often (429)`,
      mend: 'wait, or lower CHAT_CONCURRENCY',
    };
  }
  if (status >= 500) return { state: 'broken', detail: `${host} answers ${status}`, mend: mendOfAddress };
  const known = idsIn(listed);
  if (known === undefined) {
    const detail = `${host} answers, but not as an OpenAI-compatible endpoint does`;
    return { state: 'broken', detail, mend: mendOfAddress };
  }
  const missing = names.filter((name) => !known.includes(name));
  if (missing.length > 0) {
    const detail = `${host} answers, and does not list ${missing.join(', ')}`;
    return {
      state: 'warning',
      detail,
      mend: 'set CHAT_MODEL, CHAT_FALLBACK_MODELS, EMBEDDING_MODEL to models it has',
    };
  }
  return { state: 'ok', detail: `${host} answers and has ${names.join(', ')}`, mend: null };
}

/** Undefined for what is no list of models. */
function idsIn(listed: string): string[] | undefined {
  try {
    const { data }: { data?: unknown } = JSON.parse(listed) ?? {};
    if (!Array.isArray(data)) return undefined;
    return data.flatMap((it: { id?: unknown } | null) => (typeof it?.id === 'string' ? [it.id] : []));
  } catch {
    return undefined;
  }
}

/** The innermost cause says most: "fetch failed" says nothing. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `nothing within ${withinMs / 1_000} s`;
  if (error.cause !== undefined) return reasonOf(error.cause);
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message;
}
