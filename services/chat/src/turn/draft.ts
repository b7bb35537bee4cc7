/** An answer while it comes about: kept as it is when the turn is cut short. */
import type { Citation, Latency, Usage } from '../domain.ts';
import type { WindowNote } from './window.ts';

export type Draft = {
  content: string;
  citations: Citation[];
  approval_id: string | null;
  model: string | null;
  prompt_hash: string | null;
  usage: Usage | null;
  latency: Latency;
  context: WindowNote | null;
};

export function newDraft(): Draft {
  return {
    content: '',
    citations: [],
    approval_id: null,
    model: null,
    prompt_hash: null,
    usage: null,
    latency: {},
    context: null,
  };
}

export function addUsage(draft: Draft, { input_tokens, output_tokens }: Usage): void {
  const { input_tokens: input = 0, output_tokens: output = 0 } = draft.usage ?? {};
  draft.usage = { input_tokens: input + input_tokens, output_tokens: output + output_tokens };
}
