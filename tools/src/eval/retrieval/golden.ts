/** The sets of questions to the sample tenants: what answers each, and what an answer has to say. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Chunk } from '../../../../services/chat/src/retrieval/chunk.ts';
import { tenants } from './samples.ts';

const question = z.strictObject({
  id: z.string(),
  tenant: z.enum(tenants),
  question: z.string(),
  /** Names of dishes, and `Title › heading` of documents; none: nothing answers it, and nobody should try. */
  relevant: z.array(z.string()),
  /** Patterns that the answer has, all of them. */
  says: z.array(z.string()).default([]),
  /** Patterns that it must not have. */
  never: z.array(z.string()).default([]),
});
export type Question = z.infer<typeof question>;

const folder = join(import.meta.dirname, '../../../../evals/retrieval');

/** `golden` is what thresholds are set on; `held-out` was looked at when rules were changed, `fresh` never was. */
export const sets = ['golden', 'held-out', 'fresh'] as const;
export type SetName = (typeof sets)[number];

/** Throws ZodError for a line that is none. */
export function questionsOf(set: SetName): Question[] {
  const lines = readFileSync(join(folder, `${set}.jsonl`), 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => question.parse(JSON.parse(line)));
}

/** What a chunk is called in the sets. */
export function keyOf({
  kind,
  title,
  header,
  text,
}: Pick<Chunk, 'kind' | 'title' | 'header' | 'text'>): string {
  if (kind === 'menu') return title;
  if (kind === 'faq') return `${title} › ${text.split('\n')[0]}`;
  return header.split(' · ').slice(1).join(' · ');
}
