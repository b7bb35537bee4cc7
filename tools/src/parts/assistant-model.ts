/** Who answers, as the chat service says on its own port. */
import { z } from 'zod';

const shape = z.object({
  provider: z.enum(['offline', 'openai']),
  answers_by: z.string(),
  state: z.enum(['ok', 'warning', 'broken']),
  detail: z.string(),
  mend: z.string().nullable(),
});

export type AssistantModel = z.infer<typeof shape>;

// The service gives its endpoint five seconds.
const withinMs = 8_000;

/** @param url of an instance of chat, as `ragline env` has it */
export async function askModel(url: string): Promise<AssistantModel> {
  const response = await fetch(`${url}/internal/model`, { signal: AbortSignal.timeout(withinMs) });
  if (!response.ok) throw new Error(`the chat service answers ${response.status}`);
  return shape.parse(await response.json());
}
