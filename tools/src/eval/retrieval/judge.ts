/** A set of questions put to retrieval and to the offline responder. */
import { dontKnow, offlineNote } from '../../../../services/chat/src/model/offline/wording.ts';
import { type Answer, createAsker } from './ask.ts';
import { keyOf, type Question, questionsOf, type SetName } from './golden.ts';
import { mean, ndcgAt, recallAt, reciprocalRankAt } from './measures.ts';
import { entriesOf, type SampleTenant, tenants } from './samples.ts';
import type { World } from './world.ts';

export const rankingLength = 10;

export type Judged = {
  question: Question;
  ranking: string[];
  answer: Answer;
  hasAbstained: boolean;
  /** Why the answer is not right; undefined when it is. */
  fault: string | undefined;
};

/** Indexes the sample tenants, and asks every question that is for one of them. */
export async function judgeSet(
  world: World,
  set: SetName,
  of: readonly SampleTenant[] = tenants,
): Promise<Judged[]> {
  const ids = new Map<SampleTenant, string>();
  for (const tenant of of) ids.set(tenant, await world.index(await entriesOf(tenant)));
  const ask = createAsker(world);
  const judged: Judged[] = [];
  for (const question of questionsOf(set)) {
    const tenant_id = ids.get(question.tenant);
    if (tenant_id === undefined) continue;
    const query = question.question;
    const { chunks } = await world.retriever.retrieve({
      tenant_id,
      query,
      limit: rankingLength,
      tokenBudget: 4_000,
    });
    const answer = await ask(tenant_id, question.question);
    const hasAbstained = abstains(answer.text);
    const ranking = [...new Set(chunks.map(keyOf))];
    judged.push({ question, ranking, answer, hasAbstained, fault: faultOf(question, answer, hasAbstained) });
  }
  return judged;
}

// The same as saying that one does not know, where dishes are asked for.
const nothing = /^(?:I find nothing on the menu that is exactly that|Nothing on the menu fits that)/;

export function abstains(text: string): boolean {
  return text.startsWith(dontKnow('en')) || text.startsWith(dontKnow('de')) || nothing.test(text);
}

function faultOf(
  { relevant, says, never }: Question,
  { text, cited }: Answer,
  hasAbstained: boolean,
): string | undefined {
  if (relevant.length === 0) return hasAbstained ? undefined : 'answered';
  if (hasAbstained) return 'abstained';
  const said = text.replace(offlineNote.en, '').replace(offlineNote.de, '');
  const missing = says.find((pattern) => !new RegExp(pattern).test(said));
  if (missing !== undefined) return `does not say ${missing}`;
  const wrong = never.find((pattern) => new RegExp(pattern).test(said));
  if (wrong !== undefined) return `says ${wrong}`;
  return cited.length === 0 ? 'cites nothing' : undefined;
}

export function figuresOf(judged: readonly Judged[]) {
  const known = judged.filter(({ question }) => question.relevant.length > 0);
  const unknown = judged.filter(({ question }) => question.relevant.length === 0);
  const over = (measure: (ranking: string[], relevant: Map<string, number>) => number) =>
    mean(
      known.map(({ ranking, question }) =>
        measure(ranking, new Map(question.relevant.map((key) => [key, 1]))),
      ),
    );
  const share = (of: readonly Judged[], is: (it: Judged) => boolean) =>
    mean(of.map((it) => (is(it) ? 1 : 0)));
  return {
    questions: judged.length,
    unanswerable: unknown.length,
    recall_at_1: over((ranking, relevant) => recallAt(1, ranking, relevant)),
    recall_at_5: over((ranking, relevant) => recallAt(5, ranking, relevant)),
    recall_at_10: over((ranking, relevant) => recallAt(10, ranking, relevant)),
    mrr_at_10: over((ranking, relevant) => reciprocalRankAt(10, ranking, relevant)),
    ndcg_at_10: over((ranking, relevant) => ndcgAt(10, ranking, relevant)),
    /** Right, cited, and saying what it has to. */
    answer_accuracy: share(known, ({ fault }) => fault === undefined),
    abstain_accuracy: share(unknown, ({ hasAbstained }) => hasAbstained),
    /** Answered when there is an answer, and only then. */
    answer_or_abstain_accuracy: share(
      judged,
      ({ hasAbstained, question }) => hasAbstained === (question.relevant.length === 0),
    ),
  };
}
