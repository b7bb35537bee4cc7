/** What docker-compose.yml says, for tests. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { checkoutDir } from '../local/layout.mjs';

const shape = z.object({
  services: z.record(
    z.string(),
    z.looseObject({
      image: z.string(),
      profiles: z.array(z.string()),
      command: z.array(z.union([z.string(), z.number()]).transform(String)).default([]),
      environment: z.record(z.string(), z.union([z.string(), z.number()]).transform(String)).default({}),
      read_only: z.boolean().optional(),
      tmpfs: z.array(z.string()).default([]),
      cap_drop: z.array(z.string()),
      security_opt: z.array(z.string()).default([]),
      mem_limit: z.string(),
      healthcheck: z.looseObject({ test: z.array(z.string()).optional() }).optional(),
      pids_limit: z.number().optional(),
      depends_on: z.record(z.string(), z.unknown()).default({}),
    }),
  ),
});

export type ComposeService = z.infer<typeof shape>['services'][string];

/** The file as it is written, its anchors followed. */
export const composeText = readFileSync(path.join(checkoutDir, 'docker-compose.yml'), 'utf8');
export const composeWritten: unknown = parse(composeText, { merge: true });
export const composeServices: Record<string, ComposeService> = shape.parse(composeWritten).services;

/** Throws for a name that is not in the file. */
export function composeService(name: string): ComposeService {
  const service = composeServices[name];
  if (!service) throw new Error(`docker-compose.yml has no service ${name}`);
  return service;
}

/** Passwords and keys as make-env.sh makes them, new with each call. */
export function madeEnv(): Map<string, string> {
  const folder = mkdtempSync(path.join(tmpdir(), 'ragline-compose-'));
  try {
    const script = path.join('infra', 'docker', 'make-env.sh');
    cpSync(path.join(checkoutDir, script), path.join(folder, script));
    execFileSync('sh', [path.join(folder, script)]);
    const lines = readFileSync(path.join(folder, '.env'), 'utf8').trim().split('\n');
    return new Map(
      lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Interpolates as Compose does: https://github.com/compose-spec/compose-spec/blob/main/12-interpolation.md */
export function filled(value: string, variables: ReadonlyMap<string, string>): string {
  return value.replaceAll(/\$\{([A-Z_]+)(?::([-?])([^}]*))?\}/g, (_all, name: string, kind, fallback) => {
    return variables.get(name) || (kind === '-' ? String(fallback) : '');
  });
}

/** A service's environment as in its container, but for the addresses, which are this machine's. */
export function environmentOf(
  { environment }: Pick<ComposeService, 'environment'>,
  // `kafka:9092`, as containers call it, and where that is.
  {
    variables,
    addresses,
  }: { variables: ReadonlyMap<string, string>; addresses: ReadonlyMap<string, string> },
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).map(([name, value]) => [
      name,
      // After the start, `//`, `@`, `=` or `,`: neither a word's end nor a user before its password.
      filled(value, variables).replaceAll(
        /(?<=^|\/\/|[@=,])[a-z][a-z-]*:\d+\b/g,
        (address) => addresses.get(address) ?? address,
      ),
    ]),
  );
}
