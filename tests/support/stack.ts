/** Where the real parts are that integration tests use; the runner starts them and sets these names. */

export type Stack = {
  /** As the owner of the database. */
  databaseUrl: string;
  /** As a service's own role, such as ragline_orders. */
  databaseUrlOf(role: string): string;
  kafka: { brokers: string[]; username: string | undefined; password: string | undefined };
  registryUrl: string;
  connectUrl: string;
  redisUrl: string | undefined;
};

/**
 * Reads the names that `npx ragline env` prints. A role's URL is DATABASE_URL_<ROLE> (in capitals) when that is
 * set, else the owner's URL with the role's name and its password from DATABASE_PASSWORD_<ROLE>.
 */
export function stack(env: NodeJS.ProcessEnv = process.env): Stack {
  const names = ['DATABASE_URL', 'KAFKA_BROKERS', 'SCHEMA_REGISTRY_URL', 'CONNECT_URL'] as const;
  const missing = names.filter((name) => !env[name]);
  if (missing.length > 0) {
    throw new Error(
      `This test needs real parts, but ${missing.join(', ')} is not set. Run it by: npm test -- --only integration`,
    );
  }
  const databaseUrl = env.DATABASE_URL ?? '';
  return {
    databaseUrl,
    databaseUrlOf: (role) => roleUrl(env, databaseUrl, role),
    kafka: {
      brokers: (env.KAFKA_BROKERS ?? '').split(','),
      username: env.KAFKA_USERNAME || undefined,
      password: env.KAFKA_PASSWORD || undefined,
    },
    registryUrl: env.SCHEMA_REGISTRY_URL ?? '',
    connectUrl: env.CONNECT_URL ?? '',
    redisUrl: env.REDIS_URL || undefined,
  };
}

function roleUrl(env: NodeJS.ProcessEnv, databaseUrl: string, role: string): string {
  const suffix = role.toUpperCase();
  const whole = env[`DATABASE_URL_${suffix}`];
  if (whole) return whole;
  const password = env[`DATABASE_PASSWORD_${suffix}`];
  if (!password) throw new Error(`Neither DATABASE_URL_${suffix} nor DATABASE_PASSWORD_${suffix} is set`);
  const url = new URL(databaseUrl);
  url.username = role;
  url.password = password;
  return url.href;
}
