/** Runs what a page of docs/operations tells a person to run, so that the page itself is what is tested. */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';

const checkout = new URL('../../', import.meta.url);

/** Its commands (blocks marked `sh`), in their order. */
export async function commandsOf(page: string): Promise<string[]> {
  const text = await readFile(new URL(`docs/operations/${page}`, checkout), 'utf8');
  return [...text.matchAll(/^ *```sh\n(.*?)^ *```$/gms)].map(([, block = '']) =>
    block
      .split('\n')
      .map((line) => line.trim())
      .join('\n')
      .trim(),
  );
}

/**
 * Runs a block as a person in the checkout would, on the stack of that data folder; what it printed. Throws an Error
 * with that when a command of it fails.
 *
 * @param values what a person would write in place of words in capitals, such as `TIME`
 */
export function runBlock(
  block: string,
  dataDir: string,
  values: Record<string, string> = {},
): Promise<string> {
  const { PATH = '', HOME = '' } = process.env;
  const filled = Object.entries(values).reduce((text, [name, value]) => text.replaceAll(name, value), block);
  const child = spawn('sh', ['-e', '-c', filled], {
    cwd: checkout,
    // Not ours: settings that are set win over those of the stack.
    env: {
      PATH: `${new URL('node_modules/.bin', checkout).pathname}:${PATH}`,
      HOME,
      RAGLINE_DATA_DIR: dataDir,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) =>
      code === 0 ? resolve(output) : reject(new Error(`${block}\nended with ${code}:\n${output}`)),
    );
  });
}
