/** What a question asks of a dish: read by rules, so that "no nuts" never becomes a matter of likeness. */
import type { Dish } from './dishes.ts';
import { allergensNamed, type Language, money } from './wording.ts';
import { isAlike, plain, stem, topicsOf, wordsOf } from './words.ts';

export type Wishes = {
  /** Minor units, both included. */
  minPrice?: number;
  maxPrice?: number;
  /** Each must be there. */
  tags: string[];
  withoutTags: string[];
  withoutAllergens: string[];
  /** Words that neither name nor description may have. */
  withoutWords: string[];
  /** As a tenant may call it; it may have none of that name. */
  category?: string;
  sort?: 'cheapest' | 'dearest';
};

const tagWords: Record<string, string[]> = {
  vegan: ['vegan', 'vegans', 'vegane', 'veganes', 'veganen', 'plantbased'],
  vegetarian: [
    'vegetarian',
    'vegetarians',
    'veggie',
    'veggies',
    'meatless',
    'vegetarisch',
    'vegetarische',
    'vegetarisches',
  ],
  spicy: ['spicy', 'spiciest', 'scharf', 'scharfe', 'scharfes'],
  children: ['children', 'child', 'kid', 'kids', 'toddler', 'kinder', 'kind'],
  light: ['light', 'leicht', 'leichtes'],
  sharing: ['sharing', 'share', 'teilen'],
  seasonal: ['seasonal', 'saisonal'],
  alcohol: ['alcohol', 'alcoholic', 'alkohol'],
};

const allergenWords: Record<string, string[]> = {
  nuts: [
    'nut',
    'nuts',
    'walnut',
    'walnuts',
    'almond',
    'almonds',
    'hazelnut',
    'hazelnuts',
    'pistachio',
    'pistachios',
    'nusse',
    'nussen',
    'nuss',
  ],
  peanuts: ['peanut', 'peanuts', 'erdnuss', 'erdnusse'],
  gluten: ['gluten', 'wheat', 'coeliac', 'celiac', 'weizen'],
  milk: ['milk', 'dairy', 'lactose', 'milch', 'laktose', 'cheese', 'kase'],
  egg: ['egg', 'eggs', 'ei', 'eier'],
  fish: ['fish', 'seafood', 'fisch'],
  crustaceans: [
    'crustacean',
    'crustaceans',
    'shellfish',
    'prawn',
    'prawns',
    'shrimp',
    'shrimps',
    'seafood',
    'krebstiere',
  ],
  molluscs: ['mollusc', 'molluscs', 'mussel', 'mussels', 'squid', 'clams', 'shellfish', 'seafood'],
  soy: ['soy', 'soya', 'soja'],
  sesame: ['sesame', 'sesam'],
  celery: ['celery', 'sellerie'],
  mustard: ['mustard', 'senf'],
  sulphites: ['sulphites', 'sulfites', 'sulphite', 'sulfite'],
};

const categoryWords: Record<string, string[]> = {
  pizza: ['pizza', 'pizzas', 'pizzen'],
  pasta: ['pasta', 'pastas', 'noodle', 'noodles', 'nudeln'],
  starters: [
    'starter',
    'starters',
    'appetizer',
    'appetizers',
    'appetiser',
    'appetisers',
    'antipasti',
    'vorspeise',
    'vorspeisen',
  ],
  mains: ['main', 'mains', 'hauptgericht', 'hauptgerichte', 'hauptspeise', 'hauptspeisen'],
  sides: ['side', 'sides', 'beilage', 'beilagen'],
  desserts: ['dessert', 'desserts', 'sweet', 'sweets', 'nachtisch', 'nachspeise', 'nachspeisen', 'afters'],
  drinks: ['drink', 'drinks', 'beverage', 'beverages', 'getrank', 'getranke', 'thirsty'],
  burgers: ['burger', 'burgers'],
  salads: ['salad', 'salads', 'salat', 'salate'],
  soups: ['soup', 'soups', 'suppe', 'suppen'],
  tacos: ['taco', 'tacos'],
  sandwiches: ['sandwich', 'sandwiches'],
  chicken: ['chicken', 'hahnchen', 'huhn'],
  breakfast: ['breakfast', 'fruhstuck'],
  sauces: ['sauce', 'sauces', 'dip', 'dips', 'sosse', 'sossen'],
};

// Not a price: "under 500 calories".
const number = String.raw`(\d{1,4}(?:[.,]\d{1,2})?)(?!\d|\s*(?:k?cal|calories|kalorien|km|kilomet|minut|min\b|gram|g\b|ml|people|personen))`;
const sum = String.raw`(?:€|eur\b|euros?\b)?\s*${number}\s*(?:€|eur\b|euros?\b|bucks\b)?`;
const upTo = new RegExp(
  String.raw`\b(?:under|below|less than|cheaper than|up to|at most|max(?:imum)?(?: of)?|no more than|not more than|within|unter|bis(?: zu)?|hochstens|maximal|weniger als|billiger als|gunstiger als)\s+${sum}`,
);
const forMoney = new RegExp(
  String.raw`\b(?:for|fur|mit)\s+(?:€\s*${number}|${number}\s*(?:€|eur\b|euros?\b|bucks\b))`,
);
const from = new RegExp(
  String.raw`\b(?:over|above|more than|at least|from|starting at|uber|ab|mindestens|mehr als)\s+${sum}`,
);
const between = new RegExp(String.raw`\b(?:between|zwischen)\s+${sum}\s*(?:and|und|-)\s*${sum}`);

export function wishesOf(question: string): Wishes {
  const text = plain(question);
  const words = wordsOf(question);
  const denied = deniedWords(text);
  const isDenied = (word: string) => denied.some((other) => isAlike(stem(other), stem(word)));
  const named = (table: Record<string, string[]>, among: readonly string[]) =>
    Object.entries(table)
      .filter(([, names]) =>
        among.some((word) => names.includes(word) || names.some((name) => isTypo(name, word))),
      )
      .map(([key]) => key);

  const asked = words.filter((word) => !isDenied(word));
  const withoutAllergens = wary(named(allergenWords, denied));
  const knownWords = new Set(Object.values(allergenWords).flat());
  const category = named(categoryWords, asked)[0];
  const tags = named(tagWords, asked);
  const isMeatless = denied.some((word) => meat.has(word));
  if (isMeatless && !tags.includes('vegan') && !tags.includes('vegetarian')) tags.push('vegetarian');
  return {
    ...pricesOf(text),
    tags,
    withoutTags: named(tagWords, denied),
    withoutAllergens,
    withoutWords: denied.filter(
      (word) =>
        !knownWords.has(word) &&
        !meat.has(word) &&
        named({ ...tagWords, ...allergenWords }, [word]).length === 0,
    ),
    ...(category === undefined ? {} : { category }),
    ...(/\b(cheap(est)?|lowest price|least expensive|gunstigste\w*|billigste\w*)\b/.test(text) &&
    !upTo.test(text)
      ? { sort: 'cheapest' as const }
      : /\b(most expensive|dearest|priciest|teuerste\w*)\b/.test(text)
        ? { sort: 'dearest' as const }
        : {}),
  };
}

/** Who must not eat the one is not served the other: menus do not always keep them apart. */
function wary(allergens: string[]): string[] {
  const isNuts = allergens.includes('nuts') || allergens.includes('peanuts');
  return isNuts ? [...new Set([...allergens, 'nuts', 'peanuts'])] : allergens;
}

/** Whether the question asks for anything by which dishes can be told apart. */
export function hasWishes(wishes: Wishes): boolean {
  const { tags, withoutTags, withoutAllergens, withoutWords, ...rest } = wishes;
  return (
    [tags, withoutTags, withoutAllergens, withoutWords].some((list) => list.length > 0) ||
    Object.keys(rest).length > 0
  );
}

/** Checked here too: a filter that a tool or an endpoint leaves out must not become an allergic shock. */
export function fits(dish: Dish, wishes: Wishes): boolean {
  const { price, tags, allergens } = dish;
  const words = topicsOf(`${dish.name} ${dish.description}`);
  const has = (tag: string) => tags.includes(tag) || (tag === 'vegetarian' && tags.includes('vegan'));
  return (
    dish.available &&
    wishes.tags.every(has) &&
    !wishes.withoutTags.some((tag) => tags.includes(tag)) &&
    !wishes.withoutAllergens.some((allergen) => allergens.includes(allergen)) &&
    !wishes.withoutWords.some((word) => topicsOf(word).some((topic) => words.includes(topic))) &&
    (wishes.minPrice === undefined || (price !== null && price >= wishes.minPrice)) &&
    (wishes.maxPrice === undefined || (price !== null && price <= wishes.maxPrice))
  );
}

/** `vegan, without nuts, up to 10.00 €`; empty when nothing is wished for. */
export function wordsOfWishes(wishes: Wishes, language: Language): string {
  const { minPrice, maxPrice, category } = wishes;
  const isGerman = language === 'de';
  const without = allergensNamed([...wishes.withoutAllergens, ...wishes.withoutWords], language);
  const amount = (minor: number) => money(minor, 'EUR', language).replace(' €', '');
  return [
    category ?? '',
    ...wishes.tags,
    ...wishes.withoutTags.map((tag) => `${isGerman ? 'nicht' : 'not'} ${tag}`),
    without === '' ? '' : `${isGerman ? 'ohne' : 'without'} ${without}`,
    minPrice === undefined ? '' : `${isGerman ? 'ab' : 'from'} ${amount(minPrice)}`,
    maxPrice === undefined ? '' : `${isGerman ? 'bis' : 'up to'} ${amount(maxPrice)}`,
  ]
    .filter((part) => part !== '')
    .join(', ');
}

/** The allergens that a question speaks of, whether it wants them or not. */
export function allergensIn(question: string): string[] {
  const words = wordsOf(question);
  return Object.entries(allergenWords)
    .filter(([, names]) => words.some((word) => names.includes(word)))
    .map(([allergen]) => allergen);
}

function pricesOf(text: string): Pick<Wishes, 'minPrice' | 'maxPrice'> {
  const range = between.exec(text);
  if (range) return { minPrice: minor(range[1]), maxPrice: minor(range[2]) };
  const most =
    upTo.exec(text)?.[1] ??
    forMoney
      .exec(text)
      ?.slice(1)
      .find((it) => it !== undefined);
  const least = from.exec(text)?.[1];
  return {
    ...(most === undefined ? {} : { maxPrice: minor(most) }),
    ...(least === undefined ? {} : { minPrice: minor(least) }),
  };
}

function minor(text: string | undefined): number {
  return Math.round(Number((text ?? '0').replace(',', '.')) * 100);
}

// "no nuts or eggs", "without dairy", "nut-free", "allergic to fish and milk", "ohne Nüsse", "glutenfrei".
const deniers =
  /\b(?:no|without|not|w\/o|free (?:of|from)|allergic to|allergy to|avoid|intolerant to|intolerance to|hold the|ohne|kein|keine|keinen|allergisch (?:auf|gegen)|(?:can't|cannot|can not|don't|do not|darf|kann) (?:eat|have|like|take|tolerate))\s+((?:any |the |too |really |very )?[\p{L}'-]+(?:(?:\s*,\s*|\s+(?:or|and|nor|oder|und)\s+)(?:no |any |without )?[\p{L}'-]+)*)/gu;
// "Do you have free parking?" is free of nothing.
const unfreed = new Set(
  'have has had get for is are be was am feel the your our any some there it a an with offer sind ist habt haben gibt'.split(
    ' ',
  ),
);
const freed = /\b([\p{L}]+)[- ]?(?:free|frei|freie|freies|freien)\b/gu;
const allergy = /\b([\p{L}]+)[- ](?:allergy|allergies|intolerance|intolerant|allergie)\b/gu;
const allergicBefore = /\bgegen ((?:[\p{L}]+(?:,| und| oder)? )+)allergisch\b/gu;
const meat = new Set(['meat', 'fleisch', 'animals']);
// What follows "no" or "not" without being a thing.
const idle = new Set(
  'please pls thanks bitte danke any the too really very and or nor oder und no without more than sure idea problem need only just that it so is are do have know much many what which who can could i you we me eat was welche kann'.split(
    ' ',
  ),
);

function deniedWords(text: string): string[] {
  const lists = [...text.matchAll(deniers), ...text.matchAll(allergicBefore)].flatMap(([, list]) =>
    wordsOf(list ?? ''),
  );
  const single = [...text.matchAll(freed), ...text.matchAll(allergy)]
    .map(([, word]) => word ?? '')
    .filter((word) => !unfreed.has(word));
  const things = lists.filter((word) => !idle.has(word));
  return [...things, ...single].filter((word) => word.length > 2 || word === 'ei');
}

function isTypo(name: string, word: string): boolean {
  return name.length >= 6 && isAlike(stem(name), stem(word));
}
