/** How the JVMs of the stack are started: small heaps, one collector thread, an AOT cache when one was made. */
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { need } from './fetch-parts.ts';
import { cleanEnvironment, type PartContext } from './part.ts';
import type { Command } from './supervisor.ts';

export type JvmName = 'kafka' | 'registry' | 'connect';

const heaps: Record<JvmName, string> = { kafka: '192m', connect: '192m', registry: '128m' };
const metaspaces: Record<JvmName, string> = { kafka: '128m', connect: '192m', registry: '256m' };

/** The first Java that writes its cache in one run. */
export const aotMajorMin = 25;

/** Where the cache of this JVM lies, whether or not it is there. Java itself refuses one that is not its own. */
export function aotFile(context: PartContext, name: JvmName): string {
  const jars = need(context.files.jarsDir);
  const cache = path.dirname(path.dirname(jars));
  return path.join(
    cache,
    'aot',
    `${path.basename(jars)}-java-${need(context.files.java).version}`,
    `${name}.aot`,
  );
}

function aotOptions(context: PartContext, name: JvmName): string[] {
  const file = aotFile(context, name);
  return need(context.files.java).major >= aotMajorMin && existsSync(file) ? [`-XX:AOTCache=${file}`] : [];
}

export type JvmOptions = {
  name: JvmName;
  /** System properties and agents. Nothing secret: everybody on the machine can read a command line. */
  options: string[];
  /** Class path and main class, or -jar. */
  main: string[];
  cwd: string;
};

export function jvmCommand(context: PartContext, { name, options, main, cwd }: JvmOptions): Command {
  return {
    file: need(context.files.java).bin,
    args: [
      `-Xms${heaps[name]}`,
      `-Xmx${heaps[name]}`,
      `-XX:MaxMetaspaceSize=${metaspaces[name]}`,
      '-XX:+UseSerialGC',
      ...(name === 'registry' ? ['-XX:TieredStopAtLevel=1'] : []),
      '-XX:+ExitOnOutOfMemoryError',
      '-XX:-UsePerfData',
      `-Djava.io.tmpdir=${emptyTemporary(context, name)}`,
      ...aotOptions(context, name),
      ...options,
      ...main,
    ],
    env: cleanEnvironment(context.env),
    cwd,
  };
}

/** What a JVM unpacks for itself (native libraries) stays with the data, and goes at its next start. */
function emptyTemporary(context: PartContext, name: JvmName): string {
  const folder = path.join(context.dataDir, 'tmp', name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
}

/** All jars of a folder as a class path; in a fixed order, on which an AOT cache depends. */
export function classPath(folder: string): string {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.jar'))
    .sort()
    .map((name) => path.join(folder, name))
    .join(path.delimiter);
}

export function jarIn(folder: string, prefix: string): string {
  const name = existsSync(folder) ? readdirSync(folder).find((it) => it.startsWith(prefix)) : undefined;
  if (!name) throw new Error(`${prefix}*.jar is missing in ${folder}`);
  return path.join(folder, name);
}

export const log4jOption = (): string =>
  `-Dlog4j2.configurationFile=file:${path.join(import.meta.dirname, 'log4j2.properties')}`;

/** A value in a .properties file: backslashes are the only character that could change its meaning in ours. */
export function properties(values: Record<string, string | number | boolean>): string {
  const lines = Object.entries(values).map(
    ([key, value]) => `${key}=${String(value).replaceAll('\\', '\\\\')}`,
  );
  return `${lines.join('\n')}\n`;
}
