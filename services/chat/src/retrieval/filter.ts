/** Filters: what the server set, narrowed by what was asked for. */
import type { Filter } from './chunk.ts';
import { namesOfAllergen, spelled } from './spelling.ts';

/** A filter that lets through only what both do; undefined when that can be nothing. */
export function narrowed(server: Filter, narrow: Filter): Filter | undefined {
  const kinds = common(server.kinds, narrow.kinds);
  const categories = common(lower(server.categories), lower(narrow.categories));
  const minPrice = largest(server.minPrice, narrow.minPrice);
  const maxPrice = smallest(server.maxPrice, narrow.maxPrice);
  // What the server leaves out means "not unavailable": asking for the unavailable would widen it.
  if (narrow.available === false && server.available !== false) return undefined;
  if (server.available === false && narrow.available === true) return undefined;
  if (kinds?.length === 0 || categories?.length === 0) return undefined;
  if (minPrice !== undefined && maxPrice !== undefined && minPrice > maxPrice) return undefined;
  const available = server.available ?? narrow.available;
  const tags = together(server.tags, narrow.tags);
  const withoutAllergens = together(server.withoutAllergens, narrow.withoutAllergens).flatMap(
    namesOfAllergen,
  );
  return {
    ...(kinds ? { kinds } : {}),
    ...(categories ? { categories } : {}),
    ...(available === undefined ? {} : { available }),
    ...(minPrice === undefined ? {} : { minPrice }),
    ...(maxPrice === undefined ? {} : { maxPrice }),
    ...(tags.length > 0 ? { tags } : {}),
    ...(withoutAllergens.length > 0 ? { withoutAllergens } : {}),
  };
}

function common<T>(one: readonly T[] | undefined, other: readonly T[] | undefined): T[] | undefined {
  if (one === undefined || other === undefined) return (one ?? other)?.slice();
  return one.filter((value) => other.includes(value));
}

function lower(values: readonly string[] | undefined): string[] | undefined {
  return values?.map((value) => value.toLowerCase());
}

function together(one: readonly string[] = [], other: readonly string[] = []): string[] {
  return [...new Set([...one, ...other].map(spelled))].filter((word) => word !== '');
}

function largest(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.max(one, other);
}

function smallest(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.min(one, other);
}
