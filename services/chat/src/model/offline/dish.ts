/** Answers about one dish: what it costs, what is in it, whether it can be had. */
import { type Dish, dishesNamed, meant } from './dishes.ts';
import { calledTool, dishesIn, type Scene } from './scene.ts';
import { call, inWords, type Step, say } from './step.ts';
import { allergensIn, fits, wishesOf } from './wishes.ts';
import { allergensNamed, cite, dontKnow, type Language, money, priced } from './wording.ts';
import { isAlike, namedIn, plain, topicsOf, wordsOf } from './words.ts';

const shownMax = 3;
const foundMax = 10;

/** Undefined when the question names no dish that there is: then it is about something else. */
export function dishStep(scene: Scene, subject: string): Step | undefined {
  const named = dishesNamed(subject, scene.dishes);
  if (named.length > 0)
    return say(
      named
        .slice(0, shownMax)
        .map((dish) => dishAnswer(scene, dish))
        .join('\n'),
    );
  const made = calledTool(scene, 'retrieve_menu');
  if (scene.tools.has('retrieve_menu') && made.length < 2) {
    const query = nameIn(subject);
    // What is sold out is found only when it is asked for.
    const input =
      made.length === 0 ? { query, limit: foundMax } : { query, limit: foundMax, available: false };
    return call(['retrieve_menu', input]);
  }
  const pool = made.length > 0 ? made.flatMap(({ result }) => dishesIn(scene, result)) : scene.dishes;
  const fitting = pool.filter((dish) => fits({ ...dish, available: true }, wishesOf(subject)));
  const { dish, candidates } = meant(nameIn(subject), fitting.length > 0 ? fitting : pool);
  if (dish !== undefined) return say(dishAnswer(scene, dish));
  // Half a name, and alike in meaning: "oreo shake" is the milkshake.
  const alike = candidates.length === 0 ? nearest(subject, scene.dishes) : undefined;
  if (alike !== undefined) return say(dishAnswer(scene, alike));
  if (candidates.length === 0) return undefined;
  const lines = candidates
    .slice(0, shownMax)
    .map((it) => `- ${priced(it, scene.language)}${cite(it.citation)}`);
  return say([inWords(scene.language, 'Which one do you mean?', 'Welches meinen Sie?'), ...lines].join('\n'));
}

const alikeFloor = 0.6;

function nearest(subject: string, dishes: readonly Dish[]): Dish | undefined {
  const topics = topicsOf(subject);
  const [best] = [...dishes].sort((a, b) => b.score - a.score);
  return best !== undefined && best.score >= alikeFloor && namedIn(best.name, topics) > 0 ? best : undefined;
}

// What is asked about a dish, and not what it is called.
const asking = new Set(
  topicsOf(
    'much price prices cost costs expensive cheap euro euros calories kcal nutrition ingredient ingredients inside made contain ' +
      'contains allergen allergens allergic allergy vegan vegetarian spicy available sold out stock still big large size pieces ' +
      'grams weigh weight tell please know need sure today now tonight come comes kostet kosten preis enthalt zutaten',
  ),
);

/** The words that may be a dish's name: a search for them finds it before others that are asked about alike. */
function nameIn(subject: string): string {
  const words = wordsOf(subject).filter((word) => topicsOf(word).some((topic) => !asking.has(topic)));
  const name = words.filter((word) => allergensIn(word).length === 0).join(' ');
  return (name === '' ? subject : name).slice(0, 1_000);
}

type Aspect = (asked: Asked) => string | undefined;
type Asked = { dish: Dish; text: string; language: Language; question: string };

/** Everything that the question asks about the dish; where it asks nothing we know, what the menu says. */
function dishAnswer({ question, language }: Scene, dish: Dish): string {
  const asked = { dish, text: plain(question), language, question };
  const parts = aspects.map((aspect) => aspect(asked)).filter((part) => part !== undefined);
  if (!dish.available) {
    parts.unshift(
      inWords(
        language,
        `${dish.name} is sold out at the moment${cite(dish.citation)}.`,
        `${dish.name} ist zurzeit ausverkauft${cite(dish.citation)}.`,
      ),
    );
  }
  return parts.length > 0 ? parts.join(' ') : general(asked);
}

const price: Aspect = ({ dish, text, language }) => {
  if (!/\b(?:how much|price|prices|costs?|expensive|cheaper|pay for|kostet|kosten|preis|teuer)\b/.test(text))
    return undefined;
  if (dish.price === null) return unknown(dish, language);
  const amount = money(dish.price, dish.currency, language);
  return inWords(
    language,
    `${dish.name} costs ${amount}${cite(dish.citation)}.`,
    `${dish.name} kostet ${amount}${cite(dish.citation)}.`,
  );
};

const diet: Aspect = ({ dish, text, language }) => {
  const wanted = ['vegan', 'vegetarian'].find((tag) => text.includes(tag.slice(0, 6)));
  const isMeat = /\b(?:meat|fleisch)\b/.test(text);
  if (wanted === undefined && !isMeat) return undefined;
  const tag = wanted ?? 'vegetarian';
  const has = dish.tags.includes(tag) || (tag === 'vegetarian' && dish.tags.includes('vegan'));
  const other = dish.tags.find((it) => it === 'vegetarian' || it === 'vegan');
  const mark = cite(dish.citation);
  if (has) {
    const word = dish.tags.includes(tag) ? tag : 'vegan';
    return inWords(
      language,
      `${isMeat ? 'No meat' : 'Yes'}: ${dish.name} is marked ${word}${mark}.`,
      `Ja: ${dish.name} ist als ${word} gekennzeichnet${mark}.`,
    );
  }
  return other === undefined
    ? inWords(
        language,
        `No: ${dish.name} is not marked ${tag} (${dish.description})${mark}.`,
        `Nein: ${dish.name} ist nicht als ${tag} gekennzeichnet (${dish.description})${mark}.`,
      )
    : inWords(
        language,
        `No: ${dish.name} is marked ${other}, not ${tag}${mark}.`,
        `Nein: ${dish.name} ist als ${other} gekennzeichnet, nicht als ${tag}${mark}.`,
      );
};

const allergens: Aspect = ({ dish, text, language, question }) => {
  const named = allergensIn(question);
  const isAsked = /\ballerg|\bunvertraglich|\bintoleran/.test(text);
  if (named.length === 0 && !isAsked) return undefined;
  const mark = cite(dish.citation);
  const declared =
    dish.allergens.length > 0 ? allergensNamed(dish.allergens, language) : inWords(language, 'none', 'keine');
  const inside = named.filter((allergen) => dish.allergens.includes(allergen));
  const traces = inWords(
    language,
    ' The staff can tell you about traces.',
    ' Nach Spuren fragen Sie bitte das Personal.',
  );
  if (inside.length > 0) {
    return inWords(
      language,
      `${dish.name} contains ${allergensNamed(inside, language)}: declared are ${declared}${mark}.`,
      `${dish.name} enthält ${allergensNamed(inside, language)}: deklariert sind ${declared}${mark}.`,
    );
  }
  const answer =
    named.length === 0
      ? ''
      : inWords(
          language,
          ` Not among them: ${allergensNamed(named, language)}.`,
          ` Nicht darunter: ${allergensNamed(named, language)}.`,
        );
  return (
    inWords(
      language,
      `The declared allergens of ${dish.name}: ${declared}${mark}.`,
      `Deklarierte Allergene von ${dish.name}: ${declared}${mark}.`,
    ) +
    answer +
    traces
  );
};

const ingredients: Aspect = ({ dish, text, language }) => {
  if (
    !/\bingredients?\b|\bwhat(?:'s| is| are)? (?:in|on|inside)\b|\bmade (?:of|with|from)\b|\bcomes? with\b|\bzutaten\b|\bwas ist (?:in|auf|drin)\b|\bdescribe\b|\btell me\b/.test(
      text,
    )
  )
    return undefined;
  if (dish.description === '') return unknown(dish, language);
  return `${dish.name}: ${dish.description.replace(/\.$/, '')}${cite(dish.citation)}.`;
};

/** "Is there garlic in it?" */
const ingredient: Aspect = ({ dish, text, language, question }) => {
  if (
    !/\b(?:contains?|is there|are there|does|has|have|with|without|enthalt|ist da)\b/.test(text) ||
    allergensIn(question).length > 0
  )
    return undefined;
  const own = topicsOf(`${dish.name} ${dish.description}`);
  const name = topicsOf(dish.name);
  const wanted = topicsOf(question).filter(
    (topic) => !idle.has(topic) && !name.some((word) => isAlike(word, topic)),
  );
  const there = wanted.filter((topic) => own.some((word) => isAlike(word, topic)));
  if (there.length === 0) return undefined;
  return inWords(
    language,
    `Yes. ${dish.name}: ${dish.description}${cite(dish.citation)}.`,
    `Ja. ${dish.name}: ${dish.description}${cite(dish.citation)}.`,
  );
};

const measures: [RegExp, string[], string][] = [
  [/\b(?:k?cal|calories|kalorien|nutrition)/, ['kcal'], 'kcal'],
  [
    /\b(?:how (?:big|large)|size|diameter|wie gross|grosse)\b/,
    ['size_cm', 'size cm', 'grams', 'ml', 'pieces'],
    '',
  ],
  [/\b(?:grams?|weigh|weight|heavy|gramm)\b/, ['grams'], 'g'],
  [/\b(?:how many pieces|pieces|stuck)\b/, ['pieces'], ''],
  [/\b(?:ml|how much .*(?:bottle|glass)|millilit)/, ['ml'], 'ml'],
  [/\b(?:how long|minutes|wait|dauert)\b/, ['minutes'], 'min'],
];
const units: Record<string, string> = {
  size_cm: 'cm',
  'size cm': 'cm',
  grams: 'g',
  ml: 'ml',
  pieces: 'pieces',
  kcal: 'kcal',
  minutes: 'minutes',
};

const measure: Aspect = ({ dish, text, language }) => {
  const found = measures.filter(([pattern]) => pattern.test(text)).flatMap(([, names]) => names);
  if (found.length === 0) return undefined;
  const known = found.find((name) => name in dish.facts);
  if (known === undefined) return unknown(dish, language);
  return `${dish.name}: ${dish.facts[known]} ${units[known] ?? ''}${cite(dish.citation)}.`.replace(
    / {2}/g,
    ' ',
  );
};

const availability: Aspect = ({ dish, text, language }) => {
  if (
    !dish.available ||
    !/\b(?:available|sold out|still have|out of stock|do you (?:have|serve|sell|offer)|have you got|verfugbar|ausverkauft|habt ihr|gibt es)\b/.test(
      text,
    )
  )
    return undefined;
  return inWords(
    language,
    `Yes, there is ${priced(dish, language)}${cite(dish.citation)}.`,
    `Ja, es gibt ${priced(dish, language)}${cite(dish.citation)}.`,
  );
};

const aspects: readonly Aspect[] = [availability, price, diet, allergens, ingredients, ingredient, measure];

const idle = new Set(
  topicsOf(
    'contain contains dish food pizza burger there have has inside added use used made tell know please sure',
  ),
);

function general({ dish, language, question }: Asked): string {
  const name = topicsOf(dish.name);
  const left = topicsOf(question).filter(
    (topic) => !idle.has(topic) && !name.some((word) => isAlike(word, topic)),
  );
  const text = `${priced(dish, language)}${dish.description === '' ? '' : `: ${dish.description.replace(/\.$/, '')}`}${cite(dish.citation)}.`;
  if (left.length === 0 || wordsOf(question).length <= 3) return text;
  // It asks for something that no column says: what there is, is offered as that and no more.
  return inWords(language, `The menu only says this: ${text}`, `Auf der Karte steht nur: ${text}`);
}

function unknown(dish: Dish, language: Language): string {
  return `${dontKnow(language)} (${dish.name}${cite(dish.citation)})`;
}
