/** Texts of menus and questions about them: what real ones are made of, in every combination. */

const dishes = [
  'Burger',
  'Pizza',
  'Salad',
  'Soup',
  'Curry',
  'Wrap',
  'Risotto',
  'Sandwich',
  'Stew',
  'Noodles',
  'Pie',
  'Tart',
];
const mains = [
  'chicken',
  'beef',
  'halloumi',
  'mushroom',
  'salmon',
  'lentil',
  'pumpkin',
  'prawn',
  'tofu',
  'aubergine',
  'lamb',
  'spinach',
];
const sides = [
  'with tomatoes and basil',
  'with coconut and lime',
  'in a mustard sauce',
  'with roasted peppers',
  'under melted cheddar',
  'with ginger and sesame',
];

/** One of each dish with each main: 144 menu items. */
export const passages = dishes.flatMap((dish, row) =>
  mains.map((main, column) => {
    const side = sides[(row * 7 + column * 5) % sides.length] ?? '';
    const title = `${main[0]?.toUpperCase()}${main.slice(1)} ${dish}`;
    const text = `Menu item: ${title}\n${dish} of ${main} ${side}. ${column % 3 === 0 ? 'Spicy.' : 'Mild.'}`;
    return { title, category: dish.toLowerCase(), price: 500 + ((row * 37 + column * 91) % 20) * 100, text };
  }),
);

const asking = [
  (thing: string) => `do you have ${thing}?`,
  (thing: string) => `how much is the ${thing}`,
  (thing: string) => `I would like something like ${thing}, but not too spicy`,
  (thing: string) => `is there ${thing} without nuts`,
  (thing: string) => `what goes well with ${thing}?`,
];

/** That many questions, none twice before some 700. */
export function questions(count: number): string[] {
  return Array.from({ length: count }, (_, at) => {
    const passage = passages[(at * 29) % passages.length];
    return asking[at % asking.length]?.(passage?.title.toLowerCase() ?? '') ?? '';
  });
}
