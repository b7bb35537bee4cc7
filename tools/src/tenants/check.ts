/** Reads an export again: that every file is whole, and has as many rows as its manifest says. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

const manifestShape = z.object({
  format: z.literal('ragline-tenant-export'),
  version: z.literal(1),
  tenant: z.object({ id: z.string(), slug: z.string(), name: z.string() }),
  snapshot_at: z.string(),
  files: z.array(
    z.object({
      name: z.string().regex(/^[a-z_]+\.ndjson$/),
      rows: z.int(),
      bytes: z.int(),
      sha256: z.string(),
    }),
  ),
});

export type CheckedFile = { file: string; rows: number; bytes: number };

/** Throws an Error that names each file that is not as it was written, or that nobody wrote. */
export async function checkExport(folder: string): Promise<CheckedFile[]> {
  const { files } = await manifestOf(folder);
  const named = new Set(['manifest.json', ...files.map(({ name }) => name)]);
  const faults = (await readdir(folder))
    .filter((name) => !named.has(name))
    .map((name) => `${name} is not in the manifest`);
  const checked: CheckedFile[] = [];
  for (const { name, rows, bytes, sha256 } of files) {
    const hash = createHash('sha256');
    let count = 0;
    try {
      for await (const line of linesOf(createReadStream(join(folder, name)), (chunk) => hash.update(chunk))) {
        count += 1;
        JSON.parse(line);
      }
    } catch (error) {
      faults.push(`${name} ${faultOf(error, count)}`);
      continue;
    }
    if (count !== rows) faults.push(`${name} has ${count} rows, not ${rows}`);
    else if (hash.digest('hex') !== sha256) faults.push(`${name} is not as it was written: its hash differs`);
    checked.push({ file: name, rows: count, bytes });
  }
  if (faults.length > 0) throw new Error(faults.join('\n'));
  return checked;
}

/** Throws an Error that says what is not there, or no manifest. */
async function manifestOf(folder: string): Promise<z.infer<typeof manifestShape>> {
  const path = join(folder, 'manifest.json');
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new Error(`${folder} is no export: its manifest.json ${faultOf(error)}`, { cause: error });
  });
  try {
    return manifestShape.parse(JSON.parse(text));
  } catch (error) {
    throw new Error(`${path} is not the manifest of an export, or is damaged`, { cause: error });
  }
}

/** @param line where it was read to */
function faultOf(error: unknown, line = 0): string {
  if (error instanceof SyntaxError) return `is damaged: line ${line} is no JSON`;
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 'is not there';
  return `cannot be read: ${error instanceof Error ? error.message : String(error)}`;
}

/** Lines end with a line feed and with nothing else: node:readline also ends them at U+2028, which stands in texts. */
async function* linesOf(
  chunks: AsyncIterable<Buffer>,
  onChunk: (chunk: Buffer) => void,
): AsyncGenerator<string> {
  let begun: Buffer[] = [];
  for await (const chunk of chunks) {
    onChunk(chunk);
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      yield Buffer.concat([...begun, chunk.subarray(from, end)]).toString();
      begun = [];
      from = end + 1;
    }
    if (from < chunk.length) begun.push(chunk.subarray(from));
  }
  if (begun.length > 0) yield Buffer.concat(begun).toString();
}
