/** Which promotions run, and what is said to a customer who does not want what was offered. */
import { z } from 'zod';
import { calledTool, type Scene } from './scene.ts';
import { call, inWords, type Step, say } from './step.ts';
import { type Language, money } from './wording.ts';
import { plain } from './words.ts';

const running = z.object({
  running: z.array(
    z.object({
      code: z.string(),
      kind: z.enum(['percent', 'amount']),
      value: z.number(),
      minimum: z.number(),
    }),
  ),
});
type Promotion = z.infer<typeof running>['running'][number];

/** Undefined when nobody can say which promotions run. */
export function runningStep(scene: Scene): Step | undefined {
  const { language } = scene;
  if (!scene.tools.has('apply_promos')) return undefined;
  const last = calledTool(scene, 'apply_promos').at(-1);
  if (last === undefined) return call(['apply_promos', {}]);
  const found = running.safeParse(last.result);
  if (!found.success) return undefined;
  if (found.data.running.length === 0)
    return say(inWords(language, 'No promotion is running at the moment.', 'Zurzeit läuft keine Aktion.'));
  const lines = [
    inWords(language, 'These promotions are running:', 'Diese Aktionen laufen:'),
    ...found.data.running.map((it) => `- ${described(it, language)}`),
    inWords(
      language,
      'Name the code when you order; one counts for an order.',
      'Nennen Sie den Code bei der Bestellung; einer gilt je Bestellung.',
    ),
  ];
  return say(lines.join('\n'));
}

// Prices of the sample tenants, and of orders here, are in EUR.
function described({ code, kind, value, minimum }: Promotion, language: Language): string {
  const off = kind === 'percent' ? `${value} %` : money(value, null, language);
  const from = money(minimum, null, language);
  const floor = minimum === 0 ? '' : inWords(language, `, from ${from} on`, `, ab ${from}`);
  return inWords(language, `${code}: ${off} off${floor}`, `${code}: ${off} Rabatt${floor}`);
}

const no =
  /^(?:(?:oh|actually|sorry|nein|no|nope|doch)[\s,]+)*(?:no|nope|nein|nah|never ?mind|forget it|not now|(?:no|nein) (?:thanks|thank you|danke)|(?:please )?(?:cancel|stop|reject) (?:that|it|this|the order)|do(?: not|n't) order(?: it| that)?|lieber nicht)(?:[\s,]+(?:thanks|thank you|danke|please|bitte))*[.!]*$/;
const hasOffered = /Please approve the order|Bitte geben Sie die Bestellung frei/;

/** An offer is refused with its own button: words place nothing, and take nothing back. */
export function refusalStep({ question, earlier, language }: Scene): Step | undefined {
  if (!no.test(plain(question).trim())) return undefined;
  const said = earlier.findLast(({ role }) => role === 'assistant')?.text ?? '';
  if (!hasOffered.test(said)) return undefined;
  return say(
    inWords(
      language,
      'Nothing is ordered. Please reject the offer above, which closes it; or tell me what to change.',
      'Bestellt ist nichts. Lehnen Sie das Angebot oben bitte ab, dann ist es geschlossen; oder sagen Sie, was ich ändern soll.',
    ),
  );
}
