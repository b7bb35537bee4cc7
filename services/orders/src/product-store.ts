/** SQL of the catalogue. Every function runs in a transaction of the tenant. */
import type { Client } from '@ragline/postgres/pool';
import type { CatalogueProduct, PricedProduct } from './types.ts';

export type ProductSort = 'name' | 'price' | '-price' | 'relevance';
export type ProductFilter = {
  q?: string | undefined;
  category?: string | undefined;
  tag?: string | undefined;
  available?: boolean | undefined;
  minPrice?: number | undefined;
  maxPrice?: number | undefined;
  sort: ProductSort;
  /** The place of the last row of the page before. */
  after?: ProductPlace | undefined;
  limit: number;
};
/** Where a product stands in a list: a number and a text of which the sort uses one, then the id. */
export type ProductPlace = { number: number; text: string; id: string };
export type PlacedProduct = { product: CatalogueProduct; place: ProductPlace };

type ProductRow = Omit<CatalogueProduct, 'created_at' | 'updated_at'> & {
  created_at: Date;
  updated_at: Date;
};

const columns = `p.id, p.name, p.description, p.category, p.tags, p.price, p.currency, p.available, p.attributes,
  p.version, p.created_at, p.updated_at`;

/** How often the tenant's catalogue has changed; 0 before its first product. */
export async function catalogueVersion(client: Client, tenantId: string): Promise<number> {
  const sql = 'SELECT version FROM orders.catalogue WHERE tenant_id = $1';
  const { rows } = await client.query<{ version: number }>(sql, [tenantId]);
  return rows[0]?.version ?? 0;
}

/** Counts a change; other changes of the tenant's catalogue wait from here to the commit. */
export async function countChange(client: Client, tenantId: string): Promise<number> {
  const { rows } = await client.query<{ version: number }>(
    `INSERT INTO orders.catalogue AS c (tenant_id, version) VALUES ($1, 1)
     ON CONFLICT (tenant_id) DO UPDATE SET version = c.version + 1 RETURNING version`,
    [tenantId],
  );
  const [row] = rows;
  if (row === undefined) throw new Error('The catalogue has no version after a change');
  return row.version;
}

/** The product, unless it is deleted. `lock` keeps others from changing it until the commit. */
export async function findProduct(
  client: Client,
  tenantId: string,
  id: string,
  { lock = false } = {},
): Promise<CatalogueProduct | undefined> {
  const { rows } = await client.query<ProductRow>(
    `SELECT ${columns} FROM orders.product p
     WHERE p.tenant_id = $1 AND p.id = $2 AND p.deleted_at IS NULL${lock ? ' FOR UPDATE' : ''}`,
    [tenantId, id],
  );
  return rows[0] && productFrom(rows[0]);
}

/** What prices are decided from; deleted products are left out. */
export async function findPriced(
  client: Client,
  tenantId: string,
  ids: readonly string[],
): Promise<PricedProduct[]> {
  const { rows } = await client.query<PricedProduct>(
    `SELECT p.id, p.name, p.price, p.currency, p.available, p.version FROM orders.product p
     WHERE p.tenant_id = $1 AND p.id = ANY ($2::uuid[]) AND p.deleted_at IS NULL`,
    [tenantId, ids],
  );
  return rows;
}

/** One row more than `limit` when there is a next page. */
export async function listProducts(
  client: Client,
  tenantId: string,
  filter: ProductFilter,
): Promise<PlacedProduct[]> {
  const { sql, values } =
    filter.q === undefined ? listing(tenantId, filter) : search(tenantId, filter.q, filter);
  const { rows } = await client.query<ProductRow & { sort_number: number; sort_text: string }>(sql, values);
  return rows.map(({ sort_number, sort_text, ...row }) => ({
    product: productFrom(row),
    place: { number: sort_number, text: sort_text, id: row.id },
  }));
}

export async function insertProduct(
  client: Client,
  tenantId: string,
  product: CatalogueProduct,
): Promise<void> {
  await client.query(
    `INSERT INTO orders.product (tenant_id, id, name, description, category, tags, price, currency, available,
       attributes, version, updated_at, created_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
    [...changeable(tenantId, product), product.version, product.updated_at, product.created_at],
  );
}

/** Writes a locked product as it is now. */
export async function updateProduct(
  client: Client,
  tenantId: string,
  product: CatalogueProduct,
): Promise<void> {
  await client.query(
    `UPDATE orders.product SET name = $3, description = $4, category = $5, tags = $6, price = $7, currency = $8,
       available = $9, attributes = $10, version = $11, updated_at = $12
     WHERE tenant_id = $1 AND id = $2`,
    [...changeable(tenantId, product), product.version, product.updated_at],
  );
}

/** Hides a locked product; its new version tells whoever cached it. */
export async function markDeleted(
  client: Client,
  tenantId: string,
  product: CatalogueProduct,
): Promise<void> {
  await client.query(
    'UPDATE orders.product SET deleted_at = $3, updated_at = $3, version = $4 WHERE tenant_id = $1 AND id = $2',
    [tenantId, product.id, product.updated_at, product.version],
  );
}

function changeable(tenantId: string, p: CatalogueProduct) {
  const { id, name, description, category, tags, price, currency, available } = p;
  return [
    tenantId,
    id,
    name,
    description,
    category,
    tags,
    price,
    currency,
    available,
    JSON.stringify(p.attributes),
  ];
}

function productFrom(row: ProductRow): CatalogueProduct {
  return {
    ...row,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  };
}

/** The function finds and orders; the rows are read here, under the tenant's policy. */
function search(tenantId: string, q: string, filter: ProductFilter) {
  const { category, tag, available, minPrice, maxPrice, sort, after, limit } = filter;
  const sql = `SELECT ${columns}, hit.sort_number, hit.sort_text
    FROM orders.search_products($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) hit
    JOIN orders.product p ON p.tenant_id = $1 AND p.id = hit.id
    ORDER BY hit.sort_number, hit.sort_text COLLATE "C", hit.id`;
  const place = [after?.number, after?.text, after?.id];
  return {
    sql,
    values: [tenantId, q, category, tag, available, minPrice, maxPrice, sort, ...place, limit + 1],
  };
}

/** Without words every sort has an index, which also gives a page its start. */
function listing(tenantId: string, filter: ProductFilter) {
  const values: unknown[] = [tenantId];
  const value = (it: unknown) => `$${values.push(it)}`;
  const { category, tag, available, minPrice, maxPrice, sort, after, limit } = filter;
  const where = ['p.tenant_id = $1', 'p.deleted_at IS NULL'];
  if (category !== undefined) where.push(`p.category = ${value(category)}`);
  if (tag !== undefined) where.push(`${value(tag)} = ANY (p.tags)`);
  if (available !== undefined) where.push(`p.available = ${value(available)}`);
  if (minPrice !== undefined) where.push(`p.price >= ${value(minPrice)}`);
  if (maxPrice !== undefined) where.push(`p.price <= ${value(maxPrice)}`);

  const byPrice = sort === 'price' || sort === '-price';
  const direction = sort === '-price' ? 'DESC' : 'ASC';
  const key = byPrice ? 'p.price' : 'p.folded_name COLLATE "C"';
  if (after !== undefined) {
    const start = byPrice ? `${value(Math.abs(after.number))}::bigint` : `${value(after.text)} COLLATE "C"`;
    const beyond = sort === '-price' ? '<' : '>';
    where.push(`(${key}, p.id) ${beyond} (${start}, ${value(after.id)}::uuid)`);
  }
  const number = {
    price: 'p.price::float8',
    '-price': '-p.price::float8',
    name: '0::float8',
    relevance: '0::float8',
  };
  const sql = `SELECT ${columns}, ${number[sort]} AS sort_number, ${byPrice ? `''` : 'p.folded_name'} AS sort_text
    FROM orders.product p WHERE ${where.join(' AND ')}
    ORDER BY ${key} ${direction}, p.id ${direction} LIMIT ${value(limit + 1)}`;
  return { sql, values };
}
