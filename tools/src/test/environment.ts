/** The environment that tests and their stacks inherit. */

// These would lead the tests to somebody's own parts, which they may break.
const foreignNames = ['DATABASE_URL', 'KAFKA_BROKERS', 'SCHEMA_REGISTRY_URL', 'CONNECT_URL', 'REDIS_URL'];

/** This process's environment without the addresses of parts that are not the tests' own. */
export function ownEnvironment(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !foreignNames.includes(name)));
}
