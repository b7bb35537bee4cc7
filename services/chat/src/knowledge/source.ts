/** From an event of catalog.v1 to what is indexed of it. Pure. */
import type { CatalogEvent, Document, Product } from '@ragline/schemas/types.generated';
import { spelled } from '../retrieval/spelling.ts';
import type { Kind, Source } from './chunk.ts';

/** A source as it is indexed: what is embedded, and what is filtered and ranked by. */
export type IndexedSource = Omit<Source, 'text'> & {
  tenant_id: string;
  id: string;
  version: number;
  /** Null when the event was too large to carry it. */
  text: string | null;
  price: number | null;
  currency: string | null;
  available: boolean | null;
  promoted: boolean;
  attributes: Record<string, unknown>;
  /** What a citation names. */
  source: string;
  language: string | null;
  changed_at: string;
};

export type Change =
  | { type: 'changed'; source: IndexedSource }
  | { type: 'deleted'; tenant_id: string; id: string; version: number; changed_at: string };

/** Undefined for what is none of ours to index: a snapshot or a kind that this version does not know. */
export function changeFrom({ event_type, product, document, occurred_at }: CatalogEvent): Change | undefined {
  const snapshot = product ?? document;
  if (snapshot === null) return undefined;
  const { tenant_id, id, version } = snapshot;
  switch (event_type) {
    case 'product_deleted':
    case 'document_deleted':
      return { type: 'deleted', tenant_id, id, version, changed_at: occurred_at };
    case 'product_changed':
      return product === null ? undefined : { type: 'changed', source: ofProduct(product, occurred_at) };
    case 'document_changed': {
      const kind = documentKinds.find((it) => it === document?.kind);
      if (document === null || kind === undefined) return undefined;
      return { type: 'changed', source: ofDocument(document, kind, occurred_at) };
    }
    default:
      return undefined;
  }
}

const documentKinds: readonly Kind[] = ['policy', 'faq', 'note'];

function ofProduct(product: Product, changed_at: string): IndexedSource {
  const { tenant_id, id, version, name, description, category, price, currency, available, attributes } =
    product;
  const tags = wordsOf(product.tags);
  return {
    kind: 'menu',
    tenant_id,
    id,
    version,
    title: name,
    text: description,
    category,
    tags: tags.includes('vegan') ? sortedSet([...tags, 'vegetarian']) : tags,
    allergens: wordsOf(listed(attributes.allergens)),
    facts: factsOf(attributes),
    price,
    currency,
    available,
    promoted: attributes.promoted === true || tags.includes('promoted'),
    attributes,
    source: `/v1/products/${id}`,
    language: typeof attributes.language === 'string' ? attributes.language : null,
    changed_at,
  };
}

function ofDocument(document: Document, kind: Kind, changed_at: string): IndexedSource {
  const { tenant_id, id, version, title, text, language } = document;
  const nothing = { category: null, tags: [], allergens: [], facts: [], price: null, currency: null };
  return {
    kind,
    tenant_id,
    id,
    version,
    title,
    text,
    ...nothing,
    available: null,
    promoted: false,
    attributes: {},
    source: document.source === '' ? `/v1/knowledge/documents/${id}` : document.source,
    language,
    changed_at,
  };
}

/** Tenants write lists, `nuts, milk`, and `{ nuts: true }`: what is declared must not get lost. */
function listed(value: unknown): unknown {
  if (typeof value === 'string') return value.split(/[,;/|]/);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.entries(value).flatMap(([name, has]) => (has === false || has === null ? [] : [name]));
}

/** Words as filters spell them, sorted, each once; whatever else stands there is none. */
function wordsOf(value: unknown): string[] {
  if (!Array.isArray(value)) return [];
  const words = value.filter((it) => typeof it === 'string').map(spelled);
  return sortedSet(words.filter((it) => it !== ''));
}

function sortedSet(words: readonly string[]): string[] {
  return [...new Set(words)].sort();
}

// These are said elsewhere, or mean nothing to a customer.
const unsaid = new Set(['sku', 'allergens', 'promoted', 'language']);

/** Numbers, words and switches among the attributes, as `kcal: 840`, in the order of their names. */
function factsOf(attributes: Record<string, unknown>): string[] {
  return Object.entries(attributes)
    .filter(([name, value]) => !unsaid.has(name) && ['string', 'number', 'boolean'].includes(typeof value))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name.replaceAll('_', ' ')}: ${String(value)}`);
}
