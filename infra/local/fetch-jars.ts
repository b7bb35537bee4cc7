/** Kafka, Connect, Debezium, the metrics agent and the registry come as jars, which Maven fetches. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { StartFailure } from './failure.ts';
import { checkHash, type Fetched, type FetchOptions, moveInto, reasonOf, workFolder } from './fetch-files.ts';
import { type Java, javaAt } from './java.ts';
import { jarHashesFile, jarsFolderOf, localDir, versions } from './layout.mjs';
import { runCommand } from './run-command.ts';

export const jarsText = `kafka ${versions.kafka} · connect + debezium ${versions.debezium} · registry ${versions.registry}`;

/** All jars: Kafka with Connect, Debezium, the metrics agent, and the registry unpacked from its archive. */
export async function jarsFolder(
  partsDir: string,
  java: Java,
  options: FetchOptions,
  fetched: Fetched,
): Promise<string> {
  const list = readFileSync(jarHashesFile, 'utf8');
  const folder = jarsFolderOf(partsDir);
  if (existsSync(folder)) return folder;
  options.onProgress({ stage: 'parts', item: 'fetching jars', state: 'begun' });
  const work = workFolder(partsDir, folder);
  try {
    const jars = path.join(work, 'jars');
    await runMaven(work, jars, java, options);
    for (const line of list.split('\n').filter((it) => it !== '')) {
      const [expected = '', name = ''] = line.split(/ +/);
      const file = path.join(jars, name);
      if (!existsSync(file)) {
        throw new StartFailure('jars', `Maven left no ${name}`, {
          mend: 'npm start',
          logFile: options.logFile,
        });
      }
      checkHash('jars', file, expected, options.logFile);
      fetched.bytes += statSync(file).size;
      fetched.hashes++;
    }
    await unpackRegistry(path.join(jars, 'registry'), options);
    // Connect takes every folder beside a plugin for a plugin, so Debezium's lies alone.
    mkdirSync(path.join(jars, 'plugins'));
    renameSync(path.join(jars, 'debezium'), path.join(jars, 'plugins', 'debezium'));
    moveInto(jars, folder);
    options.onProgress({ stage: 'parts', item: 'fetching jars', state: 'done' });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return folder;
}

async function runMaven(work: string, jars: string, java: Java, options: FetchOptions): Promise<void> {
  const { logFile } = options;
  const env = await withSomeJava(options.env, java);
  const args = ['-B', '-ntp', '-f', path.join(localDir, 'maven', 'pom.xml'), 'dependency:copy-dependencies'];
  // A repository of its own: nothing is left in the person's ~/.m2, and a damaged file there does no harm here.
  const repository = `-Dmaven.repo.local=${path.join(work, 'm2')}`;
  try {
    await runCommand(
      {
        file: env.RAGLINE_MAVEN ?? 'mvn',
        args: [...args, repository, `-DoutputDirectory=${jars}/\${project.artifactId}`],
        env,
      },
      { ...options, withinMs: 900_000 },
    );
  } catch (error) {
    options.signal?.throwIfAborted();
    throw new StartFailure('jars', `Kafka's jars could not be fetched: ${reasonOf(error)}`, {
      cause: error,
      mend: 'npm start    (again, when the network is back)',
      logFile,
    });
  }
}

const systemTrust = '/etc/ssl/certs/java/cacerts';

/** Maven runs on the person's own Java when there is any; on a machine without one, on the one for Kafka. */
async function withSomeJava(env: NodeJS.ProcessEnv, java: Java): Promise<NodeJS.ProcessEnv> {
  const own = env.JAVA_HOME ? path.join(env.JAVA_HOME, 'bin', 'java') : 'java';
  if (await javaAt(own)) return env;
  // The fetched Java trusts the public authorities; a company's own are in the system's store.
  const trust = existsSync(systemTrust) ? [`-Djavax.net.ssl.trustStore=${systemTrust}`] : [];
  return {
    ...env,
    JAVA_HOME: path.dirname(path.dirname(java.bin)),
    MAVEN_OPTS: [env.MAVEN_OPTS ?? '', ...trust].join(' ').trim(),
  };
}

async function unpackRegistry(folder: string, options: FetchOptions): Promise<void> {
  const archive = readdirSync(folder).find((name) => name.endsWith('.tar.gz'));
  if (!archive) throw new StartFailure('registry', 'The registry archive is missing', { mend: 'npm start' });
  await runCommand({ file: 'tar', args: ['-xzf', archive], cwd: folder }, options);
  rmSync(path.join(folder, archive));
}
