/** The group chat-index: the index follows the catalogue, event by event. */
import { randomUUIDv7 } from 'node:crypto';
import type { Client, Pool } from '@ragline/postgres/pool';
import type { Logger } from '@ragline/runtime/logger';
import type { Metrics } from '@ragline/runtime/metrics';
import { UnavailableError } from '@ragline/streams/errors';
import type { DecodedEvent } from '@ragline/streams/record';
import type { BatchAttempt } from '@ragline/streams/task';
import type { Embedder } from '../embedding/embedder.ts';
import { embeddingStore, type NewVector } from '../embedding/store.ts';
import { type ChunkLimits, chunksOf, embeddedText, type NewChunk } from './chunk.ts';
import { indexMetrics } from './index-metrics.ts';
import {
  documentText,
  type KnownSource,
  knownSources,
  type SourceWrite,
  writeSources,
} from './index-store.ts';
import type { Models } from './models.ts';
import { type KnownChunk, planChunks } from './plan.ts';
import { forAllTenants, seeAllTenants } from './scope.ts';
import { type Change, changeFrom } from './source.ts';

/** Not a setting: under another name the group has no offsets, and everything is indexed again. */
export const indexGroupId = 'chat-index';

export type IndexOutcome =
  | 'indexed'
  | 'removed'
  /** The index has this version or a newer one. */
  | 'stale'
  /** The same batch has a newer version. */
  | 'superseded'
  | 'ignored'
  | 'duplicate';

export type IndexParts = {
  pool: Pool;
  models: Pick<Models, 'inUse'>;
  limits: ChunkLimits;
  log: Logger;
  metrics: Metrics;
  /** Told when chunks were left without a vector. */
  onMissing(): void;
};

export type Indexing = Pick<BatchAttempt, 'once' | 'signal'> & {
  /** Whether what the index has in this version is cut and embedded again (`ragline knowledge reindex`). */
  isAgain?: boolean;
};

/** What the index had of a source when it was read. */
type Before = { indexed_at: string | null; chunks: readonly KnownChunk[] };
type Work = { change: Change; event_id: string; write: SourceWrite };

// What a batch embeds by itself; the rest is filled in the background, so that what changed in price does not wait long.
const embeddedAtOnce = 16;
// A commit that is not seen for so long is in no database that this one was restored from.
const unseenMs = 60_000;

// A long document is cut in many chunks: others have their turn in between.
const chunksBetweenBreaths = 5;

/**
 * Indexes a batch: chunks and vectors are made before the transaction in which sources, chunks and vectors change together
 * and the events become handled.
 *
 * The group keeps order by key: of one product the changes come one after another, and what follows one that failed
 * waits behind it, so no older price ever comes out on top. Versions guard the same once more: a replayed or repeated
 * event that is older than the index changes nothing.
 */
export function createIndexing({ pool, models, limits, log, metrics, onMissing }: IndexParts) {
  const { freshness, embedded } = indexMetrics(metrics);

  return async (
    events: readonly DecodedEvent[],
    { once, signal, isAgain = false }: Indexing,
  ): Promise<IndexOutcome[]> => {
    const outcomes = new Map<string, IndexOutcome>();
    const changes = newestOf(events, outcomes);
    const { active, others } = await models.inUse();
    const works = await planned(changes, [active, ...others], outcomes, isAgain);
    const vectors = await embed(active, works, signal);
    const fresh = await once(async (client, unhandled) => {
      await seeAllTenants(client);
      const todo = works.filter(({ event_id }) => unhandled.has(event_id));
      await writeSources(
        client,
        todo.map(({ write }) => write),
      );
      // Of events that were handled before, the chunks are as they were: the store leaves out what is gone.
      await embeddingStore.upsert(client, active.model.id, vectors);
      return unhandled;
    });
    const isMissing = countNew(works) > vectors.length || others.length > 0;
    if (isMissing && countNew(works) > 0) onMissing();
    embedded.inc({ by: 'event' }, vectors.length);
    for (const { change, event_id, write } of works) {
      if (!fresh.has(event_id)) continue;
      outcomes.set(event_id, change.type === 'deleted' ? 'removed' : 'indexed');
      if (!isAgain) observe(change, write, vectors);
    }
    return events.map(({ event_id }) =>
      fresh.has(event_id) ? (outcomes.get(event_id) ?? 'ignored') : 'duplicate',
    );
  };

  async function planned(
    changes: ReadonlyMap<string, Change>,
    written: readonly Embedder[],
    outcomes: Map<string, IndexOutcome>,
    isAgain: boolean,
  ): Promise<Work[]> {
    if (changes.size === 0) return [];
    const tokenizers = written.map((it) => ({
      countTokens: (text: string) => it.countTokens(text),
      maxTokens: it.model.maxTokens,
    }));
    const works: Work[] = [];
    // Read first: no transaction stays open while a long text is cut.
    for (const { change, event_id, text, before } of await read(changes, outcomes, isAgain)) {
      works.push({ change, event_id, write: await writeOf(change, text, before, tokenizers, limits) });
    }
    return works;
  }

  async function read(
    changes: ReadonlyMap<string, Change>,
    outcomes: Map<string, IndexOutcome>,
    isAgain: boolean,
  ) {
    return forAllTenants(pool, async (client) => {
      const rows = await knownSources(client, [...changes.values()].map(keyOf));
      const knownBy = new Map(rows.map((it) => [`${it.tenant_id}/${it.id}`, it]));
      const found: { change: Change; event_id: string; text: string; before: Before }[] = [];
      for (const [event_id, change] of changes) {
        const { tenant_id, id, version } = keyOf(change);
        const before = knownBy.get(`${tenant_id}/${id}`);
        if (before !== undefined && !isNewTo(before, version, isAgain)) {
          outcomes.set(event_id, 'stale');
          continue;
        }
        const text = await textOf(client, change);
        if (text === undefined) outcomes.set(event_id, 'superseded');
        else found.push({ change, event_id, text, before: before ?? { indexed_at: null, chunks: [] } });
      }
      return found;
    });
  }

  /** Vectors of what is new; none when the model is away or refuses one of them: then the filler goes on trying. */
  async function embed(model: Embedder, works: readonly Work[], signal: AbortSignal): Promise<NewVector[]> {
    const chunks = works
      .flatMap(({ write }) => write.chunks.filter(({ isNew }) => isNew))
      .slice(0, embeddedAtOnce);
    if (chunks.length === 0) return [];
    try {
      const texts = chunks.map(({ header, text }) => embeddedText(header, text));
      const embeddings = await model.embed(texts, signal);
      return chunks.flatMap(({ id, content_hash }, index) => {
        const embedding = embeddings[index];
        return embedding === undefined ? [] : [{ chunk_id: id, content_hash, embedding }];
      });
    } catch (error) {
      signal.throwIfAborted();
      // Whatever it is: a price must not wait in a line behind a text that a model refuses.
      log.warn('chunks are kept without vectors', { chunks: chunks.length, error });
      return [];
    }
  }

  function observe(change: Change, { chunks }: SourceWrite, vectors: readonly NewVector[]): void {
    const isText = chunks.some(({ isNew }) => isNew);
    const has = new Set(vectors.map(({ chunk_id }) => chunk_id));
    // Not found yet: no time of it is known.
    if (chunks.some(({ id, isNew }) => isNew && !has.has(id))) return;
    const changedAt = change.type === 'deleted' ? change.changed_at : change.source.changed_at;
    const seconds = Math.max(0, Date.now() - Date.parse(changedAt)) / 1_000;
    freshness.observe({ change: isText ? 'text' : 'facts' }, seconds);
  }
}

/**
 * Undefined when the document has changed since, and so another event of it follows. Throws UnavailableError for a change
 * that cannot be seen yet: Debezium reads a commit off the log, which can be a moment before Postgres shows it to others.
 */
async function textOf(client: Client, change: Change): Promise<string | undefined> {
  if (change.type === 'deleted') return '';
  if (change.source.text !== null) return change.source.text;
  const found = await documentText(client, keyOf(change));
  if (found.state === 'found') return found.text;
  const ageMs = Date.now() - Date.parse(change.source.changed_at);
  if (found.state === 'unseen' && ageMs < unseenMs)
    throw new UnavailableError('A document is not visible yet');
  return undefined;
}

/** The version that the index has is read again only on purpose; one that is deleted never comes back by its own version. */
function isNewTo(before: KnownSource, version: number, isAgain: boolean): boolean {
  return isAgain && !before.is_deleted ? version >= before.version : version > before.version;
}

/** Of several versions of a source in a batch the newest alone, by its event's id. */
function newestOf(events: readonly DecodedEvent[], outcomes: Map<string, IndexOutcome>): Map<string, Change> {
  const newest = new Map<string, { event_id: string; change: Change }>();
  for (const event of events) {
    const change = event.schema === 'catalog_v1' ? changeFrom(event.value) : undefined;
    if (change === undefined) continue;
    const { tenant_id, id, version } = keyOf(change);
    const other = newest.get(`${tenant_id}/${id}`);
    if (other !== undefined && keyOf(other.change).version >= version) {
      outcomes.set(event.event_id, 'superseded');
      continue;
    }
    if (other !== undefined) outcomes.set(other.event_id, 'superseded');
    newest.set(`${tenant_id}/${id}`, { event_id: event.event_id, change });
  }
  return new Map([...newest.values()].map(({ event_id, change }) => [event_id, change]));
}

function keyOf(change: Change) {
  const { tenant_id, id, version } = change.type === 'deleted' ? change : change.source;
  return { tenant_id, id, version };
}

async function writeOf(
  change: Change,
  text: string,
  { indexed_at: before, chunks: known }: Before,
  tokenizers: Parameters<typeof chunksOf>[2],
  limits: ChunkLimits,
): Promise<SourceWrite> {
  if (change.type === 'deleted') {
    const gone = known.map(({ id }) => id);
    return { source: tombstoneOf(change), before, isDeleted: true, chunks: [], gone };
  }
  const wanted: NewChunk[] = [];
  for (const chunk of chunksOf({ ...change.source, text }, limits, tokenizers)) {
    wanted.push(chunk);
    if (wanted.length % chunksBetweenBreaths === 0) await new Promise(setImmediate);
  }
  const { text: _text, facts: _facts, ...source } = change.source;
  return { source, before, isDeleted: false, ...planChunks(known, wanted, randomUUIDv7) };
}

/** Nothing is left but the version, which tells a late event that the source is gone. */
function tombstoneOf({ tenant_id, id, version, changed_at }: Extract<Change, { type: 'deleted' }>) {
  const nothing = { category: null, tags: [], allergens: [], price: null, currency: null, available: null };
  const empty = { title: '', promoted: false, attributes: {}, source: '', language: null };
  return { kind: 'note' as const, tenant_id, id, version, ...nothing, ...empty, changed_at };
}

function countNew(works: readonly Work[]): number {
  return works.reduce((sum, { write }) => sum + write.chunks.filter(({ isNew }) => isNew).length, 0);
}
