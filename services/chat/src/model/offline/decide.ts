/** Which answer a question gets: by its intent, and by what there is to answer it with. */
import { basketOf } from './basket.ts';
import { dishStep } from './dish.ts';
import { dishesNamed } from './dishes.ts';
import { analysisStep, houseStep, type Means, summaryStep } from './house.ts';
import { codeIn, type Guess } from './intents.ts';
import { menuStep } from './menu.ts';
import { orderStep } from './order.ts';
import { calledTool, type Scene } from './scene.ts';
import { inWords, type Step, say } from './step.ts';
import { hasWishes, wishesOf } from './wishes.ts';
import { dontKnow, namesSaid, smallTalk } from './wording.ts';
import { plain, wordsOf } from './words.ts';

// Below it no example is near enough for its intent to be believed.
const likenessFloor = 0.45;
// From it on, a dish answers a question that no document does.
const dishFloor = 0.42;

/** The next step; asked again after each round of tools, and then goes the same way with what they found. */
export async function nextStep(scene: Scene, guess: Guess, means: Means): Promise<Step> {
  const { language } = scene;
  const subject = subjectOf(scene);
  switch (guess.intent) {
    case 'greeting':
    case 'thanks':
    case 'bye':
      return say(smallTalk(guess.intent, language));
    case 'about':
      return guess.likeness >= 0.6 ? say(smallTalk('about', language)) : known(scene, subject, guess, means);
    case 'order':
    case 'confirm':
      return orderStep(scene, 'order') ?? say(nothingYet(scene));
    case 'basket':
      return orderStep(scene, 'basket') ?? say(nothingYet(scene));
    case 'promotion':
      return promotion(scene, subject, means);
    case 'status':
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
  const kind = kindOf(scene, subject, guess);
  if (kind === 'menu') return menuStep(scene, subject);
  if (kind === 'dish') {
    const step = dishStep(scene, subject);
    if (step !== undefined) return step;
  }
  const fromHouse = await houseStep(scene, subject, means);
  if (fromHouse !== undefined) return fromHouse;
  const isNearDish = scene.dishes.some(({ score }) => score >= dishFloor);
  if (kind !== 'dish' && isNearDish) return menuStep(scene, subject);
  return say(dontKnow(scene.language));
}

function kindOf(scene: Scene, subject: string, { intent, likeness }: Guess): 'menu' | 'dish' | 'house' {
  // Once the menu was searched, the same way goes on, whatever else came to light.
  const asked = calledTool(scene, 'retrieve_menu')[0]?.input;
  if (asked !== undefined) return intent === 'dish' ? 'dish' : 'menu';
  const wishes = wishesOf(subject);
  const isNamed = dishesNamed(subject, scene.dishes).length > 0;
  if (intent === 'house' || likeness < likenessFloor) return isNamed && intent !== 'house' ? 'dish' : 'house';
  if (intent === 'dish') return 'dish';
  return isNamed && !hasWishes(wishes) ? 'dish' : 'menu';
}

async function promotion(scene: Scene, subject: string, means: Means): Promise<Step> {
  const priced = orderStep(scene, 'promotion');
  if (priced !== undefined) return priced;
  const written = await houseStep(scene, subject, means);
  const code = codeIn(scene.question);
  const ask = inWords(
    scene.language,
    `Tell me what you would like to order, and I check ${code === undefined ? 'which promotion takes off most' : `the code ${code}`}.`,
    `Sagen Sie mir, was Sie bestellen möchten, dann prüfe ich ${code === undefined ? 'die beste Aktion' : `den Code ${code}`}.`,
  );
  return written?.kind === 'say' ? say(`${written.text} ${ask}`) : say(ask);
}

const leaning =
  /^(?:and|or|but|what about|how about|und|oder|aber)\b|\b(?:it|its|that one|this one|them|those|es|davon)\b/;
const shortWords = 8;

/** The question, with what it leans on: a dish of the last answer, or the question before. */
export function subjectOf({ question, earlier }: Pick<Scene, 'question' | 'earlier'>): string {
  const words = wordsOf(question).length;
  if (words > shortWords || !(leaning.test(plain(question).trim()) || words <= 2)) return question;
  const said = earlier.findLast(({ role }) => role === 'assistant');
  const names = said === undefined ? [] : namesSaid(said.text);
  if (names.length === 1 && /\b(?:it|its|that|this|es|davon)\b/.test(plain(question)))
    return `${question} (${names[0]})`;
  const before = earlier.findLast(({ role }) => role === 'user');
  return before === undefined ? question : `${question} ${before.text}`;
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
