/** Finds a Java that is new enough: on this machine first, else the one that can be fetched. */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { javaMajorMin } from './layout.mjs';

export type Java = { bin: string; major: number; version: string };

/** The version in what `java -version` prints: 25.0.2 → major 25, 1.8.0_412 → major 8. */
export function parseJavaVersion(output: string): { major: number; version: string } | undefined {
  const version = /version "([^"]+)"/.exec(output)?.[1];
  const [first, second] = version?.split(/[._+-]/).map(Number) ?? [];
  const major = first === 1 ? second : first;
  if (version === undefined || major === undefined || !Number.isInteger(major)) return undefined;
  return { major, version };
}

export function javaAt(bin: string): Promise<Java | undefined> {
  return new Promise((resolve) => {
    execFile(bin, ['-version'], { timeout: 20_000 }, (error, stdout, stderr) => {
      const found = error ? undefined : parseJavaVersion(`${stderr}\n${stdout}`);
      resolve(found ? { bin, ...found } : undefined);
    });
  });
}

/** Where a Java may be, the most deliberate choice first. */
export function javaCandidates(env: NodeJS.ProcessEnv, jvmFolder = '/usr/lib/jvm'): string[] {
  const homes = [env.RAGLINE_JAVA_HOME, env.JAVA_HOME].filter((home) => home !== undefined && home !== '');
  const onPath = (env.PATH ?? '').split(path.delimiter).filter((folder) => folder !== '');
  const installed = existsSync(jvmFolder)
    ? readdirSync(jvmFolder).map((name) => path.join(jvmFolder, name))
    : [];
  const bins = [
    ...homes.map((home) => path.join(home ?? '', 'bin', 'java')),
    ...onPath.map((folder) => path.join(folder, 'java')),
    ...installed.map((home) => path.join(home, 'bin', 'java')),
  ];
  return [...new Set(bins)].filter((bin) => existsSync(bin));
}

/** The first Java of this machine that is new enough; undefined when there is none, or RAGLINE_JAVA=fetched asks for the fetched one. */
export async function findJava(env: NodeJS.ProcessEnv): Promise<Java | undefined> {
  if (env.RAGLINE_JAVA === 'fetched') return undefined;
  for (const bin of javaCandidates(env)) {
    const java = await javaAt(bin);
    if (java && java.major >= javaMajorMin) return java;
  }
  return undefined;
}
