/** validate_input: what in a text should not be passed on: personal data, and words that nobody should have to read. */
import { text } from '@ragline/web/fields';
import { z } from 'zod';
import { obscenitiesIn } from '../moderation.ts';
import { findPii, mask, piiKinds } from '../pii.ts';
import { defineTool } from '../tool.ts';

export default defineTool({
  name: 'validate_input',
  description:
    'Checks a text for personal data (e-mail addresses, cards, IBANs, phone numbers, names) and for abuse, and gives it back with personal data masked.',
  input: z.strictObject({ text: text(8_000, 1) }),
  output: z.object({
    ok: z.boolean().meta({ description: 'Nothing was found.' }),
    masked: z.string(),
    pii: z.array(z.object({ kind: z.enum(piiKinds), count: z.int() })),
    moderation: z.object({ flagged: z.boolean(), count: z.int() }),
  }),
  roles: ['customer'],
  effect: 'read',
  timeoutMs: 5_000,

  async run({ text: given }, { parts }) {
    const found = await findPii(given, {
      names: true,
      ...(parts.piiRegion === undefined ? {} : { region: parts.piiRegion }),
    });
    const counts = piiKinds
      .map((kind) => ({ kind, count: found.filter((it) => it.kind === kind).length }))
      .filter(({ count }) => count > 0);
    const { count } = obscenitiesIn(given);
    return {
      ok: counts.length === 0 && count === 0,
      masked: mask(given, found),
      pii: counts,
      moderation: { flagged: count > 0, count },
    };
  },

  summary: ({ ok }) => (ok ? 'nothing found' : 'something found'),
});
