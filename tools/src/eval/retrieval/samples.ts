/** What the sample tenants have, as events of the catalogue: their menus, and the documents of the seed. */
import { randomUUIDv7 } from 'node:crypto';
import type { DocumentBody } from '../../knowledge/document-file.ts';
import { acmeProducts } from '../../seed/acme-menu.ts';
import type { SampleProduct } from '../../seed/catalogue.ts';
import { demoProducts } from '../../seed/demo-menu.ts';
import { sampleDocuments } from '../../seed/documents.ts';
import type { Entry } from './world.ts';

export const tenants = ['demo', 'acme'] as const;
export type SampleTenant = (typeof tenants)[number];

const products: Record<SampleTenant, readonly SampleProduct[]> = { demo: demoProducts, acme: acmeProducts };
// Of one day, so that freshness favours none.
const now = new Date().toISOString();

export async function entriesOf(tenant: SampleTenant): Promise<Entry[]> {
  const documents = await sampleDocuments(tenant);
  return [
    ...products[tenant].map((product) => ({ product: productOf(product), document: null })),
    ...documents.map((document) => ({ product: null, document: documentOf(document) })),
  ];
}

function productOf(product: SampleProduct): Entry['product'] {
  const who = { id: randomUUIDv7(), tenant_id: '', version: 1, created_at: now, updated_at: now };
  return { ...who, ...product };
}

/** As the service reads one: its first heading is its title. */
function documentOf({ kind, content: text, language, source }: DocumentBody): Entry['document'] {
  const title = /^# (.+)$/m.exec(text)?.[1] ?? '';
  const who = { id: randomUUIDv7(), tenant_id: '', version: 1, created_at: now, updated_at: now };
  return {
    ...who,
    kind,
    title,
    text: text.trim(),
    language: language ?? null,
    source,
    content_hash: '0'.repeat(64),
  };
}
