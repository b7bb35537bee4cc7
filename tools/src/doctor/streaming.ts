/** Kafka, the registry and Connect, and what they must hold. */
import { checkSchemas } from '@ragline/schemas/register';
import { allTopics } from '@ragline/schemas/topics';
import { kafkaClient } from '../../../infra/local/kafka.ts';
import { connectorStatus } from '../parts/apply-connector.ts';
import { inspectTopics } from '../parts/apply-topics.ts';
import { connectClient } from '../parts/connect.ts';
import { isPlaceInLog } from '../parts/connector-place.ts';
import type { Settings } from '../parts/settings.ts';
import type { Check } from './check.ts';
import { mendOf } from './mend.ts';

type Admin = ReturnType<ReturnType<typeof kafkaClient>['admin']>;

export const streamingChecks: Check[] = [
  {
    name: 'kafka',
    mend: mendOf('kafka', 'npm start    (or: is KAFKA_BROKERS right, with its user and password?)'),
    run: (settings) =>
      withAdmin(settings, async (admin) => {
        const { brokers } = await admin.describeCluster();
        if (brokers.length === 0) return { state: 'broken', detail: 'no broker is registered' };
        return { detail: `${brokers.length} broker at ${settings.get('KAFKA_BROKERS')}` };
      }),
  },
  {
    name: 'topics',
    needs: ['kafka'],
    mend: 'npx ragline topics apply',
    run: (settings) =>
      withAdmin(settings, async (admin) => {
        const wrong = (await inspectTopics(admin, allTopics)).filter(({ drift }) => drift.length > 0);
        const detail = wrong.map(({ topic, drift }) => `${topic} ${drift.join(', ')}`).join('; ');
        return wrong.length > 0
          ? { state: 'broken', detail }
          : { detail: `${allTopics.length} as they should be` };
      }),
  },
  {
    name: 'registry',
    mend: mendOf('registry', 'npm start    (or: is SCHEMA_REGISTRY_URL right, with its user and password?)'),
    async run(settings) {
      const url = new URL(settings.get('SCHEMA_REGISTRY_URL'));
      const authorization = `Basic ${Buffer.from(`${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`).toString('base64')}`;
      const plain = `${url.origin}${url.pathname.replace(/\/$/, '')}`;
      const response = await fetch(`${plain}/subjects`, {
        headers: url.username ? { authorization } : {},
        signal: AbortSignal.timeout(10_000),
      });
      if (response.status >= 500) {
        // It turns, so killing it mends nothing: what it stores in is away, or was a moment ago.
        const mend = 'npx ragline doctor    (again in half a minute; it needs Postgres, and heals by itself)';
        return { state: 'broken', detail: `${url.host} answers ${response.status}`, mend };
      }
      if (!response.ok) throw new Error(`${url.host} answers ${response.status}`);
      return { detail: `answers at ${url.host}` };
    },
  },
  {
    name: 'schemas',
    needs: ['registry'],
    mend: 'npx ragline schemas register',
    async run(settings) {
      const checks = await checkSchemas({ registryUrl: settings.get('SCHEMA_REGISTRY_URL') });
      const wrong = checks.filter(({ state }) => state !== 'current');
      const detail = wrong.map(({ subject, state }) => `${subject} is ${state}`).join('; ');
      return wrong.length > 0 ? { state: 'broken', detail } : { detail: `${checks.length} registered` };
    },
  },
  {
    name: 'connect',
    mend: mendOf('connect', 'npm start    (or: is CONNECT_URL right, with its user and password?)'),
    async run(settings) {
      const root = await connectClient(settings.get('CONNECT_URL'))('GET', '/');
      const version =
        typeof root === 'object' && root !== null && 'version' in root ? root.version : 'unknown';
      return { detail: `version ${version}` };
    },
  },
  {
    name: 'connector',
    needs: ['connect'],
    mend: 'npx ragline connectors restart',
    async run(settings) {
      const { name, state, tasks, error } = await connectorStatus({
        connectUrl: settings.get('CONNECT_URL'),
      });
      if (state !== 'RUNNING') {
        const why = error ? `: ${error.slice(0, 160)}` : '';
        const verb =
          state === 'MISSING' ? 'apply' : state === 'PAUSED' || state === 'STOPPED' ? 'resume' : 'restart';
        return {
          state: 'broken',
          detail: `${name} is ${state}${why}`,
          mend: `npx ragline connectors ${verb}`,
        };
      }
      return { detail: `${name} RUNNING, ${tasks.length} task` };
    },
  },
  {
    name: 'connector place',
    needs: ['postgres', 'connect'],
    mend: 'docs/operations/postgres-restored.md says what to do',
    async run(settings) {
      const at = { connectUrl: settings.get('CONNECT_URL'), databaseUrl: settings.get('DATABASE_URL') };
      if (await isPlaceInLog(at)) return { detail: 'in the log that Postgres has' };
      const detail =
        'behind the end of the log: an earlier state of Postgres was restored, and what is written now is passed over';
      return { state: 'broken', detail };
    },
  },
];

/** Runs `work` with an administrator's connection to Kafka. */
export async function withAdmin<T>(settings: Settings, work: (admin: Admin) => Promise<T>): Promise<T> {
  const client = kafkaClient(
    settings.get('KAFKA_BROKERS'),
    settings.find('KAFKA_USERNAME'),
    settings.find('KAFKA_PASSWORD'),
  );
  const admin = client.admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}
