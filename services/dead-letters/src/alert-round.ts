/** One round of the watch: measure, decide, and write down what follows, in one transaction. */
import type { Client } from '@ragline/postgres/pool';
import { type Measure, measured, readMeasures } from './alert-measures.ts';
import { type AlertRule, alertKinds, eachGroup, nextStep, ruleFor } from './alert-rules.ts';
import { type Alert, type AlertStore, type Subject, watchOf } from './alert-store.ts';

export type AlertChange = { event_type: 'alert_raised' | 'alert_cleared'; alert: Alert };

/** What a round found; an instance that found the watch taken, or may not decide, has only measured. */
export type Round = { measures: Measure[]; raised: Alert[]; changes: AlertChange[]; decided: boolean };

/** Runs in the caller's transaction, which sees the letters of all tenants. */
export async function runRound(
  client: Client,
  store: AlertStore,
  { decides }: { decides: boolean },
): Promise<Round> {
  const measures = await readMeasures(client);
  const now = decides ? await store.lock(client) : undefined;
  const changes = now === undefined ? [] : await decideAll(client, store, measures, now);
  const raised = (await store.open(client)).filter(({ state }) => state === 'raised');
  return { measures, raised, changes, decided: now !== undefined };
}

async function decideAll(
  client: Client,
  store: AlertStore,
  measures: readonly Measure[],
  now: Date,
): Promise<AlertChange[]> {
  const rules = await store.rules(client);
  const open = await store.open(client);
  const changes: AlertChange[] = [];
  for (const subject of subjectsOf(rules, measures, open)) {
    const { tenant_id, kind, group } = subject;
    const own = rules.filter((rule) => rule.tenant_id === tenant_id);
    const rule = ruleFor(own, kind, group);
    const alert = open.find((one) => one.tenant_id === tenant_id && one.kind === kind && one.group === group);
    const value = measured(kind, measures.filter(within(subject)), now);
    const step = nextStep(rule, alert === undefined ? { state: 'quiet' } : watchOf(alert), value, now);
    const changed = await store.apply(client, step, { subject, alert, value, rule });
    if (changed === undefined) continue;
    if (step === 'raise') changes.push({ event_type: 'alert_raised', alert: changed });
    if (step === 'clear') changes.push({ event_type: 'alert_cleared', alert: changed });
  }
  return changes;
}

const within =
  ({ tenant_id, group }: Subject) =>
  (measure: Measure) =>
    measure.tenant_id === tenant_id && (group === null || measure.group === group);

/** What the rules speak of and has letters, and what has an open alert, whether or not a rule still speaks of it. */
function subjectsOf(
  rules: readonly (AlertRule & { tenant_id: string | null })[],
  measures: readonly Measure[],
  open: readonly Subject[],
): Subject[] {
  const subjects = new Map<string, Subject>();
  const add = ({ tenant_id, kind, group }: Subject) =>
    subjects.set(JSON.stringify([tenant_id, kind, group]), { tenant_id, kind, group });
  for (const { tenant_id, kind, group } of rules) {
    if (group !== eachGroup) {
      add({ tenant_id, kind, group });
      continue;
    }
    for (const measure of measures) {
      if (measure.tenant_id === tenant_id) add({ tenant_id, kind, group: measure.group });
    }
  }
  for (const alert of open) add(alert);
  return [...subjects.values()].sort((a, b) => alertKinds.indexOf(a.kind) - alertKinds.indexOf(b.kind));
}
