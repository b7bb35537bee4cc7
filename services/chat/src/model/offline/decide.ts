/** Which answer a question gets: by its intent, and by what there is to answer it with. */
import { basketOf } from './basket.ts';
import { dishStep } from './dish.ts';
import { dishesNamed } from './dishes.ts';
import { analysisStep, houseStep, type Means, summaryStep } from './house.ts';
import { codeIn, type Guess } from './intents.ts';
import { menuStep, nearestStep } from './menu.ts';
import { newsStep, orderStep } from './order.ts';
import { refusalStep, runningStep } from './promotions.ts';
import { linesIn } from './said-lines.ts';
import type { Scene } from './scene.ts';
import { inWords, type Step, say } from './step.ts';
import { hasWishes, wishesOf } from './wishes.ts';
import { dontKnow, namesSaid, smallTalk } from './wording.ts';
import { isAlike, plain, topicsOf, wordsOf } from './words.ts';

// Below it no example is near enough for its intent to be believed; what acts needs to be nearer than what only tells.
const likenessFloor = 0.45;
const actionFloor = 0.6;
const talkFloor = 0.75;
// From it on, a dish answers a question that no document does.
const dishFloor = 0.42;
// From it on, and so far ahead of every dish, a document answers whatever the question seems to be.
const documentFloor = 0.6;
const documentLead = 0.05;
// What a sentence has to score to be said where a dish seems to be asked for.
const writtenFloor = 0.66;
// What a sentence has to score to be said of a dish that is not on the menu.
const besideMenuFloor = 0.5;

/** The next step; asked again after each round of tools, and then goes the same way with what they found. */
export async function nextStep(scene: Scene, guess: Guess, means: Means): Promise<Step> {
  const { language } = scene;
  const changing = newsStep(scene);
  if (changing !== undefined) return changing;
  const refused = refusalStep(scene);
  if (refused !== undefined) return refused;
  const subject = subjectOf(scene);
  const written = await plainlyWritten(scene, subject, guess, means);
  if (written !== undefined) return written;
  const isTelling = guess.intent === 'menu' || guess.intent === 'dish' || guess.intent === 'house';
  const isTalk = guess.intent === 'greeting' || guess.intent === 'thanks' || guess.intent === 'bye';
  if (!isTelling && guess.likeness < (isTalk ? talkFloor : actionFloor))
    return known(scene, subject, { ...guess, intent: 'house' }, means);
  // What is ordered is read by rules alone: a question that is merely like an order asks what there is.
  if (guess.intent === 'order' && guess.likeness < 1)
    return known(scene, subject, { ...guess, intent: 'menu' }, means);
  switch (guess.intent) {
    case 'greeting':
    case 'thanks':
    case 'bye':
      return say(smallTalk(guess.intent, language));
    case 'about':
      return say(smallTalk('about', language));
    case 'order':
      if (isOnlyWishes(scene)) return menuStep(scene, subject) ?? nearestStep(scene, subject);
      return orderStep(scene, 'order') ?? say(nothingYet(scene));
    case 'confirm':
      return orderStep(scene, 'order') ?? say(nothingYet(scene));
    case 'basket':
      return orderStep(scene, 'basket') ?? say(nothingYet(scene));
    case 'promotion':
      return promotion(scene, subject, means);
    case 'status':
      // Where no rule says so, it may be about deliveries at large.
      if (guess.likeness === 1) return say(noOrders(scene));
      return (await houseStep(scene, subject, means)) ?? say(noOrders(scene));
    case 'conversation_summary':
      return summaryStep(scene, 'conversation');
    case 'document_summary':
      return summaryStep(scene, 'documents');
    case 'analysis':
      return analysisStep(scene);
    default:
      return known(scene, subject, guess, means);
  }
}

/** From the menu or from documents, whichever knows. */
async function known(scene: Scene, subject: string, guess: Guess, means: Means): Promise<Step> {
  const kind = isForDocuments(scene) ? 'house' : kindOf(scene, subject, guess);
  const fromMenu =
    kind === 'menu' ? menuStep(scene, subject) : kind === 'dish' ? dishStep(scene, subject) : undefined;
  if (fromMenu !== undefined) return fromMenu;
  const fromHouse = await houseStep(scene, subject, means, kind === 'menu' ? besideMenuFloor : 0);
  if (fromHouse !== undefined) return fromHouse;
  if (kind === 'menu') return nearestStep(scene, subject);
  if (kind === 'house' && scene.dishes.some(({ score }) => score >= dishFloor)) {
    return menuStep(scene, subject) ?? nearestStep(scene, subject);
  }
  if (kind === 'house' && isHalfNamed(subject, scene)) {
    return dishStep(scene, subject) ?? say(dontKnow(scene.language));
  }
  // Short, and about a price or the like: its name may be mistyped, and nothing was found by it.
  if (
    kind === 'house' &&
    factual.test(plain(scene.question)) &&
    wordsOf(scene.question).length <= shortWords
  ) {
    return dishStep(scene, subject) ?? say(dontKnow(scene.language));
  }
  return say(dontKnow(scene.language));
}

/** What sounds like a question for a dish, and is what a document answers: "Do you have a high chair?" */
async function plainlyWritten(
  scene: Scene,
  subject: string,
  { intent }: Guess,
  means: Means,
): Promise<Step | undefined> {
  const isForMenu = intent === 'menu' || intent === 'dish' || intent === 'order';
  if (!isForMenu || !scene.question.trim().endsWith('?') || scene.language === 'de') return undefined;
  if (dishesNamed(subject, scene.dishes).length > 0) return undefined;
  const ofDish = Math.max(0, ...scene.dishes.map(({ score }) => score));
  const floor = Math.max(writtenFloor, ofDish + documentLead);
  return houseStep(scene, subject, means, floor);
}

/** Whether a document is plainly nearer to the question than any dish. */
function isForDocuments({ found }: Scene): boolean {
  const [first] = found;
  if (first === undefined || first.chunk.kind === 'menu' || first.chunk.score < documentFloor) return false;
  return found.every(({ chunk }) => chunk.kind !== 'menu' || chunk.score < first.chunk.score - documentLead);
}

/** "Is there egg in the tagliatelle?" says a part of a name that is no kind of dish. */
function isHalfNamed(subject: string, { dishes }: Scene): boolean {
  const topics = topicsOf(subject).filter((topic) => topic.length >= partLettersMin);
  return dishes.some(({ name, category }) => {
    const kind = topicsOf(category ?? '');
    const parts = topicsOf(name).filter((part) => !kind.some((word) => isAlike(word, part)));
    return parts.some((part) => topics.some((topic) => isAlike(topic, part)));
  });
}

const partLettersMin = 6;

const factual = /\b(?:price|costs?|how much|calories|kcal|ingredients|preis|kostet|kalorien|zutaten)\b/;

function kindOf(scene: Scene, subject: string, { intent, likeness }: Guess): 'menu' | 'dish' | 'house' {
  if (subject !== scene.question && leanedOn.test(subject)) return 'dish';
  const isNamed = dishesNamed(subject, scene.dishes).length > 0;
  if (isNamed && aboutOne.test(plain(scene.question).trim())) return 'dish';
  if (intent === 'house' || likeness < likenessFloor) return isNamed && intent !== 'house' ? 'dish' : 'house';
  if (intent === 'dish') return 'dish';
  return isNamed && !hasWishes(wishesOf(subject)) ? 'dish' : 'menu';
}

// "Is the Marinara vegan?" has a wish in it, and asks about one dish all the same.
const aboutOne =
  /^(?:and |so |ok |but )*(?:is|are|does|do(?:es)? the|has|how (?:much|many|big|large|hot|spicy)|what(?:'s| is| does| do| comes| are)|ist|hat|enthalt|was (?:ist|kostet|kosten))\b(?! (?:there (?:any|some)|your|you|the (?:cheapest|most)))/;

async function promotion(scene: Scene, subject: string, means: Means): Promise<Step> {
  const priced = orderStep(scene, 'promotion');
  if (priced !== undefined) return priced;
  const code = codeIn(scene.question);
  // For students, on birthdays: only a document can say so.
  if (code === undefined && isForSomebody(scene)) {
    return (await houseStep(scene, subject, means)) ?? say(dontKnow(scene.language));
  }
  const listed = code === undefined ? runningStep(scene) : undefined;
  if (listed !== undefined) return listed;
  const written = await houseStep(scene, subject, means);
  const ask = inWords(
    scene.language,
    `Tell me what you would like to order, and I check ${code === undefined ? 'which promotion takes off most' : `the code ${code}`}.`,
    `Sagen Sie mir, was Sie bestellen möchten, dann prüfe ich ${code === undefined ? 'die beste Aktion' : `den Code ${code}`}.`,
  );
  return written?.kind === 'say' ? say(`${written.text} ${ask}`) : say(ask);
}

/** Whether it asks for more than which promotions there are. */
function isForSomebody({ question, dishes }: Scene): boolean {
  if (dishesNamed(question, dishes).length > 0) return false;
  const about = /\b(?:for|if|as|when|fur|als|wenn|zum)\b(.*)$/.exec(plain(question))?.[1] ?? '';
  return topicsOf(about).some((topic) => !ofPromotions.has(topic));
}

const ofPromotions = new Set(
  topicsOf(
    'discount discounts promotion promotions promo code codes coupon voucher deal deals offer offers order orders me today now ' +
      'running cheaper price total basket bestellung rabatt aktion heute',
  ),
);

/** "I want a dessert without nuts" orders nothing yet: it names no dish, only what one should be like. */
function isOnlyWishes({ question, dishes }: Scene): boolean {
  const lines = linesIn(question);
  if (lines.length === 0 || dishesNamed(question, dishes).length > 0) return false;
  return lines.every(({ words }) => {
    const wishes = wishesOf(words);
    const said = topicsOf([wishes.category ?? '', ...wishes.tags, 'something', 'dish'].join(' '));
    return topicsOf(words).every((topic) => said.some((word) => isAlike(word, topic)));
  });
}

const leaning =
  /^(?:and|or|but|what about|how about|und|oder|aber)\b|\b(?:it|its|that one|this one|them|those|es|davon)\b/;
const shortWords = 8;

// How subjectOf writes the dish that a question leans on.
const leanedOn = /\(\p{Lu}[^()]*\)$/u;

/** The question, with what it leans on: a dish of the last answer, or the question before. */
export function subjectOf({
  question,
  earlier,
  dishes,
}: Pick<Scene, 'question' | 'earlier' | 'dishes'>): string {
  const words = wordsOf(question).length;
  if (words > shortWords || !(leaning.test(plain(question).trim()) || words <= 2)) return question;
  const said = earlier.findLast(({ role }) => role === 'assistant')?.text ?? '';
  const before = earlier.findLast(({ role }) => role === 'user')?.text ?? '';
  const spokenOf = dishes.filter(({ name }) => said.includes(name)).map(({ name }) => name);
  const [name, ...others] = new Set([...spokenOf, ...namesSaid(said)]);
  if (name !== undefined && others.length === 0) return `${question} (${name})`;
  const [asked] = dishesNamed(before, dishes);
  if (asked !== undefined) return `${question} (${asked.name})`;
  return before === '' ? question : `${question} ${before}`;
}

function nothingYet({ language, earlier, question }: Scene): string {
  const wasEmptied =
    basketOf([...earlier, { role: 'user', text: question }]).lines.length === 0 && earlier.length > 0;
  return inWords(
    language,
    `${wasEmptied ? 'Your basket is empty' : 'Nothing is in your basket yet'}. What would you like to order? For example: “two Margherita and a lemonade”.`,
    'Ihr Warenkorb ist leer. Was möchten Sie bestellen? Zum Beispiel: „zwei Margherita und eine Limonade“.',
  );
}

function noOrders({ language }: Scene): string {
  return inWords(
    language,
    'I cannot look into orders that are placed; your list of orders shows where each one is, live.',
    'In aufgegebene Bestellungen kann ich nicht sehen; Ihre Bestellliste zeigt live, wie weit jede ist.',
  );
}
