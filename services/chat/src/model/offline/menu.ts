/** Answers about which dishes there are: found by the menu's own filters, then checked again here. */
import type { Dish } from './dishes.ts';
import { calledTool, dishesIn, type Scene } from './scene.ts';
import { call, inWords, type Step, say } from './step.ts';
import { fits, type Wishes, wishesOf, wordsOfWishes } from './wishes.ts';
import { cite, type Language, priced } from './wording.ts';
import { isAlike, topicsOf } from './words.ts';

const shownMax = 6;
const nearestMax = 3;
const foundMax = 20;
const fewMax = 10;
// Below it a dish is not what was asked for; what is left of the best one's likeness still is.
const scoreFloor = 0.27;
const scoreShare = 0.6;
const roundsMax = 4;

/**
 * What is on the menu; undefined when nothing there is just what was asked for.
 *
 * @param subject the question, with the one before where it goes on from that
 */
export function menuStep(scene: Scene, subject: string): Step | undefined {
  const wishes = wishesOf(subject);
  if (scene.tools.has('retrieve_menu')) {
    // The embedding model reads English: what is wished for is known in English too.
    const english = scene.language === 'de' ? wordsOfWishes(wishes, 'en') : '';
    const search = nextSearch(scene, english === '' ? subject : english, wishes);
    if (search !== undefined) return call(['retrieve_menu', search]);
  }
  const answer = menuAnswer(scene, subject, wishes);
  return answer.isExact ? say(answer.text) : undefined;
}

/** What comes nearest to it. */
export function nearestStep(scene: Scene, subject: string): Step {
  return say(menuAnswer(scene, subject, wishesOf(subject)).text);
}

type Input = Record<string, unknown>;

/** The search that is still to be made; undefined once the answer is at hand. */
function nextSearch(scene: Scene, subject: string, wishes: Wishes): Input | undefined {
  const base = searchOf(subject, wishes);
  const made = calledTool(scene, 'retrieve_menu');
  const last = made.at(-1);
  if (last === undefined) return base;
  if (scene.rounds.length >= roundsMax) return undefined;
  const dishes = dishesIn(scene, last.result);
  if ('category' in last.input && made.length === 1 && dishes.length === 0) {
    // This house may call it otherwise.
    const { category: _, ...wider } = base;
    return wider;
  }
  if (made.length === 1 && dishes.length === 0 && topicsIn(subject).length === 0) {
    return { ...base, query: usual };
  }
  return wishes.sort === undefined || dishes.length === 0 ? undefined : beyond(last.input, dishes, wishes);
}

/** Is there one that costs still less, or more? The search is by likeness, and gives a part of the menu. */
function beyond(input: Input, dishes: readonly Dish[], { sort }: Wishes): Input | undefined {
  const prices = dishes.flatMap(({ price }) => (price === null ? [] : [price]));
  if (prices.length === 0) return undefined;
  if (sort === 'dearest') return { ...input, min_price: Math.max(...prices) + 1 };
  const least = Math.min(...prices);
  return least <= 0 ? undefined : { ...input, max_price: least - 1 };
}

function searchOf(subject: string, wishes: Wishes): Input {
  const { minPrice, maxPrice, category, withoutAllergens } = wishes;
  const isNarrow = wishes.sort !== undefined || withoutAllergens.length > 0 || wishes.withoutWords.length > 0;
  return {
    query: subject.slice(0, 1_000),
    limit: isNarrow || category !== undefined || maxPrice !== undefined ? foundMax : fewMax,
    ...(minPrice === undefined ? {} : { min_price: minPrice }),
    ...(maxPrice === undefined ? {} : { max_price: maxPrice }),
    ...(category === undefined ? {} : { category }),
    ...(wishes.tags.length === 0 ? {} : { tags: wishes.tags }),
    ...(withoutAllergens.length === 0 ? {} : { without_allergens: withoutAllergens }),
  };
}

function menuAnswer(scene: Scene, subject: string, wishes: Wishes): { text: string; isExact: boolean } {
  const { language } = scene;
  const found = calledTool(scene, 'retrieve_menu');
  const pool = found.length > 0 ? found.flatMap(({ result }) => dishesIn(scene, result)) : scene.dishes;
  const fitting = sorted(
    distinctById(pool).filter((dish) => fits(dish, wishes)),
    wishes,
  );
  const { dishes, isExact } = asked(fitting, subject, wishes);
  const [first] = dishes;
  if (first === undefined) return { text: nothing(language), isExact: false };
  if (wishes.sort !== undefined && isExact) return { text: extreme(first, wishes, scene), isExact };
  const shown = dishes.slice(0, isExact ? shownMax : nearestMax);
  const hasMore = isExact && dishes.length > shown.length;
  const lines = [
    openingOf(scene, wishes, isExact),
    ...shown.map((dish) => `- ${priced(dish, language)}${described(dish)}${cite(dish.citation)}`),
    caution(wishes, scene),
    hasMore
      ? inWords(
          language,
          'There is more: say what it should be like, or cost at most.',
          'Es gibt noch mehr: Sagen Sie, wie es sein soll oder was es höchstens kosten darf.',
        )
      : '',
  ];
  return { text: lines.filter((line) => line !== '').join('\n'), isExact };
}

function nothing(language: Language): string {
  return inWords(
    language,
    'Nothing on the menu fits that. If you can do with less strict wishes, tell me which.',
    'Auf der Karte passt nichts dazu. Sagen Sie mir gern, worauf Sie verzichten können.',
  );
}

function openingOf({ language }: Scene, wishes: Wishes, isExact: boolean): string {
  if (!isExact) {
    return inWords(
      language,
      'I find nothing on the menu that is exactly that. The nearest there is:',
      'Genau das finde ich auf der Karte nicht. Am nächsten kommt:',
    );
  }
  const said = wordsOfWishes(wishes, language);
  return said === ''
    ? inWords(language, 'On the menu there is:', 'Auf der Karte gibt es:')
    : inWords(language, `On the menu, ${said}:`, `Auf der Karte, ${said}:`);
}

function extreme(dish: Dish, { sort }: Wishes, { language }: Scene): string {
  const most = sort === 'dearest';
  return inWords(
    language,
    `The ${most ? 'most expensive' : 'cheapest'} one is ${priced(dish, language)}${described(dish)}${cite(dish.citation)}.`,
    `Am ${most ? 'teuersten' : 'günstigsten'} ist ${priced(dish, language)}${described(dish)}${cite(dish.citation)}.`,
  );
}

function caution({ withoutAllergens }: Wishes, { language }: Scene): string {
  if (withoutAllergens.length === 0) return '';
  return inWords(
    language,
    'This goes by the declared allergens; please ask the staff about traces.',
    'Das richtet sich nach den deklarierten Allergenen; nach Spuren fragen Sie bitte das Personal.',
  );
}

function described({ description }: Dish): string {
  return description === '' ? '' : `: ${description.replace(/[.\s]+$/, '')}`;
}

// Words that a question about the menu has whatever it asks for.
const idle = new Set(
  topicsOf(
    'menu dish dishes food eat eating order something anything thing things option options recommend recommendation suggest ' +
      'suggestion want like need looking serve sell offer offering available show list tell give get got today tonight ' +
      'good best nice popular favourite favorite tasty hungry euro euros eur price under below less cheap cheapest expensive ' +
      'most least up max free allergic allergy without contain contains find speisekarte karte essen gericht gerichte empfehlen ' +
      'one two three four five six seven eight ten dinner lunch evening cost costs kind kinds type types sort people person us meal course hello hi dear thanks',
  ),
);

// What is searched for when nothing in particular is asked for: a question alone is like no dish.
const usual = 'classic dish of the house: pizza, pasta, burger, salad';

/** What a question asks for by name. */
function topicsIn(subject: string): string[] {
  return topicsOf(subject).filter((topic) => !idle.has(topic) && !/^\d/.test(topic));
}

/** Those that are asked for: by their words where they have them, by likeness otherwise. */
function asked(
  dishes: readonly Dish[],
  subject: string,
  wishes: Wishes,
): { dishes: readonly Dish[]; isExact: boolean } {
  const known = topicsOf(wordsOfWishes(wishes, 'en'));
  const denied = topicsOf(
    [...wishes.withoutAllergens, ...wishes.withoutWords, ...wishes.withoutTags].join(' '),
  );
  const topics = topicsIn(subject).filter(
    (topic) => ![...known, ...denied].some((word) => isAlike(word, topic)),
  );
  const category = wishes.category;
  const ofCategory = category === undefined ? dishes : dishes.filter((dish) => isOf(dish, category));
  // What was left of the category after it had to be given up: nothing of that kind is there.
  if (category !== undefined && ofCategory.length === 0)
    return { dishes: dishes.slice(0, shownMax), isExact: false };
  const saying = ofCategory.filter((dish) => {
    const own = topicsOf(wordsAbout(dish));
    return topics.some((topic) => own.some((word) => isAlike(word, topic)));
  });
  if (saying.length > 0) {
    const said = topicsOf(saying.map(wordsAbout).join(' '));
    return { dishes: saying, isExact: topics.every((topic) => said.some((word) => isAlike(word, topic))) };
  }
  const best = Math.max(0, ...ofCategory.map(({ score }) => score));
  const isNarrowed = category !== undefined || known.length > 0 || denied.length > 0 || topics.length === 0;
  const near = isNarrowed
    ? ofCategory
    : ofCategory.filter(({ score }) => score >= Math.max(scoreFloor, best * scoreShare));
  return { dishes: near, isExact: isNarrowed };
}

function wordsAbout({ name, description, tags, allergens }: Dish): string {
  return [name, description, ...tags, ...allergens].join(' ');
}

function isOf(dish: Dish, category: string): boolean {
  const [word = category] = topicsOf(category);
  const own = topicsOf(`${dish.category ?? ''} ${dish.name} ${dish.description} ${dish.tags.join(' ')}`);
  return own.some((topic) => isAlike(topic, word));
}

function sorted(dishes: readonly Dish[], { sort }: Wishes): Dish[] {
  if (sort === undefined) return [...dishes];
  const sign = sort === 'cheapest' ? 1 : -1;
  return dishes
    .filter(({ price }) => price !== null)
    .sort((a, b) => sign * ((a.price ?? 0) - (b.price ?? 0)));
}

function distinctById(dishes: readonly Dish[]): Dish[] {
  return [...new Map(dishes.map((dish) => [dish.id, dish])).values()];
}
