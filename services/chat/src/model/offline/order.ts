/** From what a customer said to an order that can be approved: dishes by the menu, prices by the orders service. */
import { z } from 'zod';
import { type Basket, basketOf, type Line, quantityMax } from './basket.ts';
import { type Dish, dishesNamed, meant } from './dishes.ts';
import { calledTool, dishesIn, errorOf, recordOf, type Scene } from './scene.ts';
import { call, inWords, type Step, say } from './step.ts';
import { cite, type Language, listed, money, priced } from './wording.ts';
import { namedIn, topicsOf } from './words.ts';

const callsMax = 8;
const candidatesMax = 4;

export type Purpose = 'order' | 'promotion' | 'basket';

/** What the question changes in the basket, where it is no order by itself; undefined when it changes nothing. */
export function newsStep(scene: Scene): Step | undefined {
  const { language } = scene;
  const { news } = basketIn(scene);
  switch (news.kind) {
    case 'none':
      return undefined;
    case 'changed':
      return orderStep(scene, 'order') ?? say(emptied(language));
    case 'too_many':
      return say(
        inWords(
          language,
          `Of each dish, 1 to ${quantityMax} can be ordered. Nothing has changed; how many would you like?`,
          `Von jedem Gericht sind 1 bis ${quantityMax} bestellbar. Geändert ist nichts; wie viele möchten Sie?`,
        ),
      );
    case 'missing':
      return say(
        inWords(
          language,
          `There is no “${news.words}” in your basket. Nothing has changed.`,
          `„${news.words}“ ist nicht in Ihrem Warenkorb. Geändert ist nichts.`,
        ),
      );
  }
}

function emptied(language: Language): string {
  return inWords(
    language,
    'Your basket is empty now. What would you like to order?',
    'Ihr Warenkorb ist jetzt leer. Was möchten Sie bestellen?',
  );
}

function basketIn({ earlier, question }: Scene): Basket {
  return basketOf([...earlier, { role: 'user', text: question }]);
}

/** Undefined when the basket is empty: then there is nothing to price. */
export function orderStep(scene: Scene, purpose: Purpose): Step | undefined {
  const basket = basketIn(scene);
  if (basket.lines.length === 0) return undefined;
  const tool = purpose === 'order' ? 'confirm' : 'apply_promos';
  if (!scene.tools.has(tool) || !scene.tools.has('retrieve_menu')) {
    return say(inWords(scene.language, 'Orders cannot be taken here.', 'Hier kann nicht bestellt werden.'));
  }
  const done = calledTool(scene, tool);
  const last = done.at(-1);
  if (last !== undefined) return afterPricing(scene, tool, last.result, done.length);
  const resolved = resolve(scene, basket);
  if (resolved.kind !== 'items') return resolved.step;
  const input = {
    items: resolved.items,
    ...(basket.promoCode === undefined ? {} : { promo_code: basket.promoCode }),
  };
  return call([tool, input]);
}

type Item = { product_id: string; quantity: number; notes?: string };
type Resolved = { kind: 'items'; items: Item[] } | { kind: 'step'; step: Step };

function resolve(scene: Scene, { lines: said }: Basket): Resolved {
  const lines = joined(said, scene.dishes).map((line) => ({ line, ...findDish(scene, line) }));
  const open = lines.filter(({ dish }) => dish === undefined);
  const calls = open.flatMap(({ line, search }) => (search === undefined ? [] : [searchFor(line, search)]));
  if (calls.length > 0) return { kind: 'step', step: call(...calls.slice(0, callsMax)) };
  const [first] = open;
  if (first !== undefined)
    return {
      kind: 'step',
      step: say(askFor(first.line, first.candidates, lines.length > 1, scene.language)),
    };
  const soldOut = lines.flatMap(({ dish }) => (dish !== undefined && !dish.available ? [dish] : []));
  if (soldOut.length > 0) return { kind: 'step', step: say(sorry(soldOut, scene.language)) };
  const items = lines.flatMap(({ line, dish }) =>
    dish === undefined
      ? []
      : [
          {
            product_id: dish.id,
            quantity: line.quantity,
            ...(line.notes === undefined ? {} : { notes: line.notes }),
          },
        ],
  );
  return { kind: 'items', items };
}

type Search = 'available' | 'sold_out';

/** The dish of a line, or which search is still to be made for it. */
function findDish(scene: Scene, line: Line): { dish?: Dish; candidates: Dish[]; search?: Search } {
  const made = calledTool(scene, 'retrieve_menu').filter(({ input }) => input.query === line.words);
  // What happens to be at hand may lack the very dish: only its whole name spares the search.
  const [named, ...others] = dishesNamed(line.words, scene.dishes);
  if (named !== undefined && others.length === 0 && isWhole(line.words, named)) {
    return { dish: named, candidates: [named] };
  }
  if (made.length === 0) return { candidates: [], search: 'available' };
  const pool = [...made.flatMap(({ result }) => dishesIn(scene, result)), ...scene.dishes];
  const { dish, candidates } = meant(line.words, pool);
  if (dish !== undefined) return { dish, candidates };
  if (candidates.length === 0 && made.length === 1) return { candidates, search: 'sold_out' };
  return { candidates };
}

/** Whether the words are the dish's name and nothing more. */
function isWhole(words: string, { name }: Dish): boolean {
  return namedIn(words, topicsOf(name)) > 0.99;
}

function searchFor({ words }: Line, search: Search): [string, Record<string, unknown>] {
  const input = { query: words, limit: 6 };
  return ['retrieve_menu', search === 'available' ? input : { ...input, available: false }];
}

/** "mac and cheese" was read as two: where one dish has both names, it is one line. */
function joined(lines: readonly Line[], dishes: readonly Dish[]): Line[] {
  const result: Line[] = [];
  for (const line of lines) {
    const before = result.at(-1);
    const both = before === undefined ? '' : `${before.words} and ${line.words}`;
    if (before !== undefined && line.quantity === 1 && isOneName(both, dishes)) {
      result[result.length - 1] = { ...before, ...line, words: both, quantity: before.quantity };
    } else result.push(line);
  }
  return result;
}

function isOneName(words: string, dishes: readonly Dish[]): boolean {
  const topics = topicsOf(words).sort().join(' ');
  return dishes.some(({ name }) => topicsOf(name).sort().join(' ') === topics);
}

function askFor({ words }: Line, candidates: readonly Dish[], hasMore: boolean, language: Language): string {
  if (candidates.length === 0) {
    return inWords(
      language,
      `I find no “${words}” on the menu, so nothing is ordered yet${hasMore ? '; the rest is in your basket' : ''}. What would you like instead?`,
      `„${words}“ finde ich nicht auf der Karte; bestellt ist noch nichts${hasMore ? ', der Rest ist im Warenkorb' : ''}. Was möchten Sie stattdessen?`,
    );
  }
  const lines = candidates
    .slice(0, candidatesMax)
    .map((dish) => `- ${priced(dish, language)}${cite(dish.citation)}`);
  return [
    inWords(language, `Which “${words}” do you mean?`, `Welches „${words}“ meinen Sie?`),
    ...lines,
  ].join('\n');
}

function sorry(dishes: readonly Dish[], language: Language): string {
  const names = listed(
    dishes.map(({ name, citation }) => `${name}${cite(citation)}`),
    language,
  );
  return inWords(
    language,
    `Sold out at the moment: ${names}. Nothing is ordered yet; what would you like instead?`,
    `Zurzeit ausverkauft: ${names}. Bestellt ist noch nichts; was möchten Sie stattdessen?`,
  );
}

const quoteShape = z.object({
  items: z.array(z.object({ name: z.string(), quantity: z.number(), line_total: z.number() })),
  currency: z.string(),
  discount: z.number(),
  total: z.number(),
  promo_code: z.string().nullish(),
});
type Quote = z.infer<typeof quoteShape>;
const refusals = z.array(z.object({ code: z.string(), reason: z.string() }));

function afterPricing(scene: Scene, tool: string, result: unknown, times: number): Step {
  const { language } = scene;
  const error = errorOf(result);
  const first = calledTool(scene, tool)[0];
  const named = String(first?.input.promo_code ?? '').toUpperCase();
  // That others do not apply either is no news.
  const refused = refusedIn(first?.result).filter(({ code }) => code.toUpperCase() === named);
  if (error?.code === 'promotion_refused' && times === 1 && first !== undefined) {
    // The customer is told why, and can still have the order without it.
    const { promo_code: _, ...input } = first.input;
    return call([tool, input]);
  }
  if (error !== undefined) return say(failed(error, language));
  const quote = quoteShape.safeParse(recordOf(result).quote);
  if (!quote.success) return say(failed({ code: 'failed', message: '' }, language));
  const lines = [...refused.map((it) => refusal(it, language)), ...quoted(quote.data, language)];
  return say([...lines, ending(tool, quote.data, language)].join('\n'));
}

function ending(tool: string, { discount }: Quote, language: Language): string {
  if (tool === 'confirm') {
    return inWords(
      language,
      'Please approve the order: nothing is placed before you do.',
      'Bitte geben Sie die Bestellung frei: vorher wird nichts aufgegeben.',
    );
  }
  const promo =
    discount > 0
      ? ''
      : inWords(language, 'No promotion applies to it at the moment. ', 'Zurzeit gilt dafür keine Aktion. ');
  return promo + inWords(language, 'Say “place it” to order.', 'Sagen Sie „bestellen“, um sie aufzugeben.');
}

function quoted({ items, currency, discount, total, promo_code }: Quote, language: Language): string[] {
  const lines = items.map(
    ({ name, quantity, line_total }) => `- ${quantity} × ${name}: ${money(line_total, currency, language)}`,
  );
  const code = promo_code ? ` (${promo_code})` : '';
  const off =
    inWords(language, `Discount${code}: −`, `Rabatt${code}: −`) + money(discount, currency, language);
  const sum = inWords(language, 'Total: ', 'Zusammen: ') + money(total, currency, language);
  return [...lines, ...(discount > 0 ? [off] : []), sum];
}

function refusedIn(result: unknown): { code: string; reason: string }[] {
  const direct = recordOf(result).refused;
  const inError = recordOf(recordOf(result).error).refused;
  const parsed = refusals.safeParse(direct ?? inError);
  return parsed.success ? parsed.data : [];
}

// As the orders service names them.
const reasons: Record<string, [en: string, de: string]> = {
  unknown: ['there is no such code', 'diesen Code gibt es nicht'],
  inactive: ['it does not run at the moment', 'er gilt zurzeit nicht'],
  not_started: ['it has not begun yet', 'er gilt noch nicht'],
  expired: ['it has ended', 'er ist abgelaufen'],
  exhausted: ['it is used up', 'er ist aufgebraucht'],
  minimum_not_met: ['the order is below its minimum', 'die Bestellung liegt unter dem Mindestwert'],
};

function refusal({ code, reason }: { code: string; reason: string }, language: Language): string {
  const [en, de] = reasons[reason] ?? [reason.replace(/_/g, ' '), reason.replace(/_/g, ' ')];
  return inWords(language, `The code ${code} does not apply: ${en}.`, `Der Code ${code} gilt nicht: ${de}.`);
}

function failed({ code }: { code: string; message: string }, language: Language): string {
  if (code === 'not_available') {
    return inWords(
      language,
      'Something of it cannot be ordered at the moment. Please choose something else.',
      'Etwas davon ist zurzeit nicht bestellbar. Bitte wählen Sie etwas anderes.',
    );
  }
  if (code === 'forbidden' || code === 'tool_disabled') {
    return inWords(
      language,
      'Ordering is not possible for you at the moment.',
      'Bestellen ist für Sie zurzeit nicht möglich.',
    );
  }
  return inWords(
    language,
    'The price could not be asked for just now, and nothing is ordered. Please try again in a moment.',
    'Der Preis ließ sich gerade nicht ermitteln, und bestellt ist nichts. Bitte versuchen Sie es gleich noch einmal.',
  );
}
