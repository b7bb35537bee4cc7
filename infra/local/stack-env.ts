/** What `ragline env` prints: every connection setting of a running stack. */
import { addressesOf } from './addresses.ts';
import type { Instance } from './instances.ts';
import { host, type PartContext } from './part.ts';
import { failpointsOf } from './services.ts';
import type { SupervisedProcess } from './supervisor.ts';

export type StackParts = {
  context: PartContext;
  instances: readonly Instance[];
  parts: readonly SupervisedProcess[];
  services: readonly SupervisedProcess[];
};

export function stackEnv({ context, instances, parts, services }: StackParts): Record<string, string> {
  const gateway = instances.find((it) => it.service === 'gateway');
  const modelDir = context.env.EMBEDDING_MODEL_DIR || context.files.modelDir;
  const env: Record<string, string> = {
    ...(gateway ? { RAGLINE_URL: `http://localhost:${gateway.port}` } : {}),
    ...addressesOf(context),
    RAGLINE_DEMO_PASSWORD: context.secrets.demo,
    RAGLINE_LOGS: context.logsDir,
    ...(modelDir ? { EMBEDDING_MODEL_DIR: modelDir } : {}),
    RAGLINE_ENV: context.env.RAGLINE_ENV || 'development',
    RAGLINE_FAILPOINTS: failpointsOf(context.env),
    ...(context.env.RETRY_DELAYS_MS ? { RETRY_DELAYS_MS: context.env.RETRY_DELAYS_MS } : {}),
  };
  for (const { service, number, port, metricsPort } of instances) {
    const suffix = `${service.replaceAll('-', '_').toUpperCase()}_${number}`;
    env[`URL_${suffix}`] = `http://${host}:${port}`;
    if (metricsPort) env[`METRICS_URL_${suffix}`] = `http://${host}:${metricsPort}/metrics`;
  }
  env.PID_START = String(process.pid);
  for (const { name, pid } of [...parts, ...services]) {
    const id = pid();
    if (id !== undefined) env[pidName(name)] = String(id);
  }
  return env;
}

/** `notifications-2` → PID_NOTIFICATIONS_2, `kafka` → PID_KAFKA_1. */
export function pidName(process: string): string {
  const [, name = process, number = '1'] = /^(.*?)(?:-(\d+))?$/.exec(process) ?? [];
  return `PID_${name.replaceAll('-', '_').toUpperCase()}_${number}`;
}
