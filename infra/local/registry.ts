/** Apicurio Registry, stored in Postgres; every request needs a password. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { need } from './fetch-parts.ts';
import { jvmCommand, properties } from './java-command.ts';
import { basic, expectOk, host, type PartContext, type Plan } from './part.ts';
import { writePrivately } from './secrets.ts';
import type { ProcessDefinition } from './supervisor.ts';

const user = 'ragline';

/** The Confluent API's address, with user and password. */
export const registryUrl = ({ ports, secrets }: Plan): string =>
  `http://${user}:${secrets.registry}@${host}:${ports.registry}/apis/ccompat/v7`;

/** `databaseUrl` names the registry's own database, with its role and password; without it all is kept in memory. */
export function registry(context: PartContext, databaseUrl: string | undefined): ProcessDefinition {
  const dir = path.join(context.dataDir, 'registry');
  const config = path.join(dir, 'application.properties');
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const api = `http://${host}:${context.ports.registry}/apis/ccompat/v7`;
  return {
    name: 'registry',
    logFile: path.join(context.logsDir, 'registry.log'),
    command: () => {
      writePrivately(config, properties(configOf(context, databaseUrl)));
      return jvmCommand(context, {
        name: 'registry',
        options: [`-Dquarkus.config.locations=${config}`],
        main: ['-jar', path.join(need(context.files.jarsDir), 'registry', 'quarkus-run.jar')],
        cwd: dir,
      });
    },
    ready: () => expectOk(`${api}/subjects`, basic(user, context.secrets.registry)),
    readyWithinMs: 90_000,
  };
}

function configOf(
  { ports, secrets }: PartContext,
  databaseUrl: string | undefined,
): Record<string, string | number | boolean> {
  return {
    'quarkus.http.host': host,
    'quarkus.http.port': ports.registry,
    // Its second interface (health, metrics) knows no password.
    'quarkus.management.host-enabled': false,
    'quarkus.log.level': 'WARN',
    'quarkus.http.access-log.enabled': false,
    ...(databaseUrl === undefined ? {} : storageIn(new URL(databaseUrl))),
    'quarkus.http.auth.basic': true,
    'apicurio.auth.role-based-authorization': true,
    'quarkus.security.users.embedded.plain-text': true,
    [`quarkus.security.users.embedded.users.${user}`]: secrets.registry,
    [`quarkus.security.users.embedded.roles.${user}`]: 'sr-admin',
    // What the registry leaves open to everybody (its own pages, the list of its features) is closed too.
    'quarkus.http.auth.permission.all.paths': '/*',
    'quarkus.http.auth.permission.all.policy': 'authenticated',
  };
}

function storageIn(database: URL): Record<string, string | number> {
  return {
    'apicurio.storage.kind': 'sql',
    'apicurio.storage.sql.kind': 'postgresql',
    'apicurio.datasource.url': `jdbc:postgresql://${database.host}${database.pathname}`,
    'apicurio.datasource.username': decodeURIComponent(database.username),
    'apicurio.datasource.password': decodeURIComponent(database.password),
    'apicurio.datasource.jdbc.initial-size': 2,
    'apicurio.datasource.jdbc.min-size': 2,
    'apicurio.datasource.jdbc.max-size': 10,
  };
}
