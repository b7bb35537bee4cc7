/** Preferences on the wire and in rows: checked on their way in, shown whole. */
import { z } from 'zod';
import { kindNames, kindsOf } from './kinds.ts';
import { isTimeZone } from './quiet-hours.ts';
import { type Choice, choiceOf, type Preferences, type Rules } from './rules.ts';

const digestMinutes = { least: 5, most: 1_440 };

const wanted = {
  events: {
    order_status_changed: { list: true, live: 'digest' },
    order_created: { list: false, live: false },
  },
  quiet_hours: { from: '22:00', to: '07:00', time_zone: 'Europe/Berlin' },
  digest_minutes: 15,
};
const answered = {
  ...wanted,
  events: { ...wanted.events, order_cancelled: { list: true, live: true } },
  version: 1,
  updated_at: '2026-11-23T09:30:00.000Z',
};

const time = z
  .string()
  .regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'must be a time as 22:00')
  .meta({ example: '22:00' });
const timeZone = z
  .string()
  .max(64)
  .refine(isTimeZone, 'must be the IANA name of a time zone')
  .meta({ example: 'Europe/Berlin' });
const live = z
  .union([z.boolean(), z.literal('digest')])
  .meta({ description: 'true: at once. "digest": counted in the next digest. false: not at all.' });
const list = z.boolean().meta({ description: 'Whether GET /v1/notifications shows it.' });

const quietHours = z
  .strictObject({ from: time, to: time, time_zone: timeZone })
  .refine(({ from, to }) => from !== to, { path: ['to'], message: 'must differ from `from`' })
  .meta({
    description: 'By the clocks of the time zone; midnight may lie between.',
    example: { from: '22:00', to: '07:00', time_zone: 'Europe/Berlin' },
  });
const minutes = z
  .int()
  .min(digestMinutes.least)
  .max(digestMinutes.most)
  .meta({ description: 'How often a digest is made; needed where a kind has `"live": "digest"`.' });

const choice = z.strictObject({ list: list.default(true), live: live.default(true) });

/** What may be put: kinds and fields that are not named are as usual. */
export const preferencesBody = z
  .strictObject({
    events: z.strictObject(fields(() => choice.optional())).default({}),
    quiet_hours: quietHours.nullable().default(null),
    digest_minutes: minutes.nullable().default(null),
  })
  .superRefine(({ events, digest_minutes }, issues) => {
    const waits = kindNames.some((kind) => events[kind]?.live === 'digest');
    if (waits && digest_minutes === null) {
      const message = 'is needed, since a kind waits for the digest';
      issues.addIssue({ code: 'custom', path: ['digest_minutes'], message });
    }
  })
  .meta({ id: 'NewNotificationPreferences', examples: [wanted] });

export const preferencesShape = z
  .object({
    events: z
      .object(fields(() => z.object({ list, live }).optional()))
      .meta({ description: 'Every kind that you can be told of; webhook_disabled is for staff alone.' }),
    quiet_hours: quietHours.nullable(),
    digest_minutes: minutes.nullable(),
    version: z.int().meta({ description: 'Grows with each change; 0 while nothing was ever put.' }),
    updated_at: z.iso.datetime().nullable(),
  })
  .meta({ id: 'NotificationPreferences', examples: [answered] });

/** Preferences as their user sees them. */
export type ShownPreferences = {
  events: Partial<Record<string, Choice>>;
  quiet_hours: Rules['quiet_hours'];
  digest_minutes: number | null;
  version: number;
  updated_at: string | null;
};

/** With every kind that the user can be told of. */
export function shown({ rules, version, from }: Preferences, isStaff: boolean): ShownPreferences {
  const { quiet_hours, digest_minutes } = rules;
  const events = Object.fromEntries(kindsOf(isStaff).map((kind) => [kind, choiceOf(rules, kind)]));
  const updated_at = version === 0 ? null : new Date(from).toISOString();
  return { events, quiet_hours, digest_minutes, version, updated_at };
}

// Rows and records are ours, but may be of another version of the service: kinds that it knew are kept.
const rules = z.object({
  events: z.record(z.string(), z.object({ list: z.boolean(), live })),
  quiet_hours: z.object({ from: time, to: time, time_zone: z.string() }).nullable(),
  digest_minutes: z.int().nullable(),
});
const storedPreferences = z
  .object({
    version: z.int(),
    rules,
    updated_at: z.date(),
    history: z.array(z.object({ from: z.number(), rules })),
  })
  .transform(({ updated_at, ...it }): Preferences => ({ ...it, from: updated_at.getTime() }));

/** Of a row. Throws ZodError for what no version of ours has written. */
export const preferencesFrom = (row: unknown): Preferences => storedPreferences.parse(row);
/** The same; undefined where that throws. */
export const readablePreferences = (row: unknown): Preferences | undefined =>
  storedPreferences.safeParse(row).data;
export const rulesFrom = (stored: unknown): Rules => rules.parse(stored);

const changedEvent = z.object({
  event_type: z.literal('notification_preferences_changed'),
  tenant_id: z.string(),
  user_id: z.string(),
  preferences: rules.extend({ version: z.int(), updated_at: z.iso.datetime() }),
});

/** What a record of notifications.v1 says of somebody's preferences; undefined when it is of something else. */
export function changeFrom(value: unknown) {
  const parsed = changedEvent.safeParse(value);
  if (!parsed.success) return undefined;
  const { tenant_id, user_id, preferences } = parsed.data;
  const { version, updated_at, ...changed } = preferences;
  return { tenant_id, user_id, version, from: Date.parse(updated_at), rules: changed };
}

function fields<T>(of: () => T) {
  return {
    order_created: of(),
    order_status_changed: of(),
    order_cancelled: of(),
    webhook_disabled: of(),
  };
}
