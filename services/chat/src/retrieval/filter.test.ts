import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { type Filter, kinds } from './chunk.ts';
import { narrowed } from './filter.ts';

/** What a filter lets through, as the search does it. */
type Item = {
  kind: (typeof kinds)[number];
  category: string;
  price: number;
  available: boolean;
  tags: string[];
  allergens: string[];
};
function lets(filter: Filter, item: Item): boolean {
  const { available = true, minPrice = 0, maxPrice = Number.MAX_SAFE_INTEGER } = filter;
  return (
    (filter.kinds?.includes(item.kind) ?? true) &&
    (filter.categories?.some((name) => name.toLowerCase() === item.category) ?? true) &&
    item.available === available &&
    item.price >= minPrice &&
    item.price <= maxPrice &&
    (filter.tags ?? []).every((tag) => item.tags.includes(tag.toLowerCase())) &&
    !(filter.withoutAllergens ?? []).some((name) => item.allergens.includes(name.toLowerCase()))
  );
}

const words = (...of: string[]) => fc.subarray(of);
const filters: fc.Arbitrary<Filter> = fc.record(
  {
    kinds: fc.subarray([...kinds]),
    categories: words('Pizza', 'pizza', 'drinks'),
    available: fc.boolean(),
    minPrice: fc.integer({ min: 0, max: 4 }),
    maxPrice: fc.integer({ min: 0, max: 4 }),
    tags: words('Vegan', 'spicy'),
    withoutAllergens: words('Nuts', 'milk'),
  },
  { requiredKeys: [] },
);
const items: fc.Arbitrary<Item> = fc.record({
  kind: fc.constantFrom(...kinds),
  category: fc.constantFrom('pizza', 'drinks'),
  price: fc.integer({ min: 0, max: 4 }),
  available: fc.boolean(),
  tags: words('vegan', 'spicy'),
  allergens: words('nuts', 'milk'),
});

describe('narrowing what the server lets through', () => {
  it('lets through only what both let through, and all of that which the server shows', () => {
    fc.assert(
      fc.property(filters, filters, items, (server, narrow, item) => {
        const both = narrowed(server, narrow);
        const passes = both !== undefined && lets(both, item);
        // What is not said about availability means "not unavailable" for the server, and nothing for who narrows.
        const { available = item.available, ...rest } = narrow;
        assert.equal(passes, lets(server, item) && lets({ ...rest, available }, item));
      }),
      { numRuns: 2_000 },
    );
  });

  it('leaves out an allergen under each of its names', () => {
    for (const [asked, declared] of [
      ['Eggs', 'egg'],
      ['dairy', 'milk'],
      ['shellfish', 'crustaceans'],
      ['peanut', 'peanuts'],
      ['Tree-Nuts', 'nuts'],
    ] as const) {
      assert.ok(narrowed({}, { withoutAllergens: [asked] })?.withoutAllergens?.includes(declared), asked);
    }
  });

  it('is nothing at all where the two contradict each other', () => {
    assert.equal(narrowed({ kinds: ['menu'] }, { kinds: ['faq'] }), undefined);
    assert.equal(narrowed({ minPrice: 5 }, { maxPrice: 4 }), undefined);
    assert.equal(narrowed({}, { available: false }), undefined);
  });
});
