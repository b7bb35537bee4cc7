/** What the sample catalogues are made of. */

/** name | description | price in cents | tags, separated by spaces | attributes as key=value, separated by spaces */
export type MenuText = Record<string, string>;

export type SampleProduct = {
  name: string;
  description: string;
  category: string;
  tags: string[];
  price: number;
  currency: 'EUR';
  available: boolean;
  attributes: Record<string, string | number | string[]> & { sku: string };
};

export type SamplePromotion = {
  code: string;
  kind: 'percent' | 'amount';
  value: number;
  minimum: number;
  active: boolean;
};

/**
 * Products from lines of text, one a product, under their category.
 *
 * The attribute sku is made of prefix and name: seeding again finds a product by it. The tag `off` stands for one
 * that is sold out. Throws Error for a line that is not complete.
 */
export function productsFrom(prefix: string, menu: MenuText): SampleProduct[] {
  return Object.entries(menu).flatMap(([category, lines]) =>
    lines
      .trim()
      .split('\n')
      .map((line) => productFrom(prefix, category, line)),
  );
}

function productFrom(prefix: string, category: string, line: string): SampleProduct {
  const [name, description, price, tags = '', attributes = ''] = line.split('|').map((part) => part.trim());
  if (!name || !description || !Number.isInteger(Number(price))) throw new Error(`Not a product: ${line}`);
  const words = tags.split(' ').filter((word) => word !== '');
  return {
    name,
    description,
    category,
    tags: words.filter((word) => word !== 'off'),
    price: Number(price),
    currency: 'EUR',
    available: !words.includes('off'),
    attributes: { sku: `${prefix}-${slugOf(name)}`, ...attributesFrom(attributes) },
  };
}

function attributesFrom(text: string): Record<string, string | number | string[]> {
  const pairs = text.split(' ').filter((pair) => pair.includes('='));
  return Object.fromEntries(
    pairs.map((pair) => {
      const [key = '', value = ''] = pair.split('=');
      if (key === 'allergens') return [key, value.split(',')];
      return [key, /^\d+$/.test(value) ? Number(value) : value];
    }),
  );
}

function slugOf(name: string): string {
  return name
    .normalize('NFD')
    .toLowerCase()
    .replace(/\p{M}/gu, '')
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
}
