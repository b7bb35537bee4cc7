/** A dish as answers speak of it, from a retrieved chunk or from what a tool found. */
import { z } from 'zod';
import type { Chunk } from '../../retrieval/chunk.ts';
import { namedIn, topicsOf } from './words.ts';

export type Dish = {
  id: string;
  name: string;
  description: string;
  category: string | null;
  /** Minor units. */
  price: number | null;
  currency: string | null;
  available: boolean;
  tags: readonly string[];
  allergens: readonly string[];
  /** Such as kcal or ml. */
  facts: Readonly<Record<string, string>>;
  /** The number to cite it by. */
  citation: number | null;
  /** How alike the question it is; 0 where nobody measured. */
  score: number;
};

/** @param citation the chunk's number */
export function dishOf(chunk: Chunk, citation: number): Dish {
  return {
    ...partsOf(chunk.title, chunk.text),
    id: chunk.source_id,
    name: chunk.title,
    category: chunk.category,
    price: chunk.price,
    currency: chunk.currency,
    available: chunk.available !== false,
    tags: chunk.tags,
    allergens: chunk.allergens,
    citation,
    score: chunk.score,
  };
}

/** A chunk of a dish is its name, its description, and then lines of tags, allergens and facts. */
function partsOf(name: string, text: string): Pick<Dish, 'description' | 'facts'> {
  const lines = text.split('\n').filter((line) => line !== `${name}.`);
  const described = lines.filter((line) => !/^(Tags|Allergens): /.test(line));
  const last = described.at(-1) ?? '';
  const isFacts = described.length > 0 && /^[\w ]{1,30}: [^.]+(?:; [\w ]{1,30}: [^.;]+)*\.$/.test(last);
  return {
    description: (isFacts ? described.slice(0, -1) : described).join(' '),
    facts: isFacts ? factsOf(last) : {},
  };
}

function factsOf(line: string): Record<string, string> {
  const pairs = line.replace(/\.$/, '').split('; ');
  return Object.fromEntries(
    pairs.flatMap((pair) => {
      const at = pair.indexOf(': ');
      return at < 0 ? [] : [[pair.slice(0, at), pair.slice(at + 2)]];
    }),
  );
}

const found = z.object({
  items: z.array(
    z.object({
      citation: z.number().optional(),
      product_id: z.string(),
      name: z.string(),
      description: z.string().default(''),
      category: z.string().nullish(),
      price: z.number().nullish(),
      currency: z.string().nullish(),
      available: z.boolean().nullish(),
      tags: z.array(z.string()).default([]),
      allergens: z.array(z.string()).default([]),
    }),
  ),
});

/** What retrieve_menu found; none for a result that is not its. */
export function dishesFound(result: unknown): Dish[] {
  const parsed = found.safeParse(result);
  if (!parsed.success) return [];
  return parsed.data.items.map((item) => ({
    ...partsOf(item.name, item.description),
    id: item.product_id,
    name: item.name,
    category: item.category ?? null,
    price: item.price ?? null,
    currency: item.currency ?? null,
    available: item.available !== false,
    tags: item.tags,
    allergens: item.allergens,
    citation: item.citation ?? null,
    score: 0,
  }));
}

/** The same dish once, the first mention kept: it has the lower number. */
export function distinct(dishes: readonly Dish[]): Dish[] {
  const seen = new Set<string>();
  return dishes.filter(({ id }) => !seen.has(id) && seen.add(id));
}

/** Dishes whose whole name a text says; where one name is within another that is said too, the longer. */
export function dishesNamed(text: string, dishes: readonly Dish[]): Dish[] {
  const topics = topicsOf(text);
  const named = distinct(dishes).filter(({ name }) => namedIn(name, topics) > 0.99);
  return named.filter(
    (dish) =>
      !named.some(
        (other) =>
          other !== dish &&
          topicsOf(other.name).length > topicsOf(dish.name).length &&
          namedIn(dish.name, topicsOf(other.name)) > 0.99,
      ),
  );
}

/** The dish that a few words mean: its whole name, or the only one that has most of them; the candidates otherwise. */
export function meant(words: string, dishes: readonly Dish[]): { dish?: Dish; candidates: Dish[] } {
  const [whole, ...others] = dishesNamed(words, dishes);
  if (whole !== undefined && others.length === 0) return { dish: whole, candidates: [whole] };
  const topics = topicsOf(words);
  const scored = distinct(whole === undefined ? dishes : [whole, ...others])
    .map((dish) => ({ dish, score: likeness(topics, dish.name) }))
    .filter(({ score }) => score >= 0.5)
    .sort((a, b) => b.score - a.score);
  const [best, next] = scored;
  if (best !== undefined && best.score - (next?.score ?? 0) > 0.15) {
    return { dish: best.dish, candidates: [best.dish] };
  }
  return { candidates: scored.map(({ dish }) => dish) };
}

/** How well words and a name cover each other, from 0 to 1. */
function likeness(topics: readonly string[], name: string): number {
  const ofName = namedIn(name, topics);
  const ofWords = namedIn(topics.join(' '), topicsOf(name));
  return ofName + ofWords === 0 ? 0 : (2 * ofName * ofWords) / (ofName + ofWords);
}
