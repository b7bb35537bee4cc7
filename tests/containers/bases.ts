/** The images that our own stands on, as the Dockerfile names them or as the tester does. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { checkoutDir } from '../../infra/local/layout.mjs';
import type { Tool } from './tool.ts';

const dockerfile = path.join(checkoutDir, 'infra', 'docker', 'Dockerfile');

/** Build argument → image. RAGLINE_TEST_<argument> wins over the Dockerfile's own. */
export function basesOf(env: NodeJS.ProcessEnv): Map<string, string> {
  const found = readFileSync(dockerfile, 'utf8').matchAll(/^ARG (\w+_IMAGE)=(\S+)$/gm);
  return new Map([...found].map(([, name = '', image = '']) => [name, env[`RAGLINE_TEST_${name}`] || image]));
}

/**
 * Fetches the images that are not here. Gives the reason why not when their registry cannot be reached; throws an
 * Error when it says that there is no such image, which is a mistake in the Dockerfile, or when the tester named it.
 */
export async function fetchBases(
  tool: Tool,
  bases: ReadonlyMap<string, string>,
): Promise<string | undefined> {
  for (const [argument, image] of bases) {
    if ((await tool.run(['inspect', '--type', 'image', image])).code === 0) continue;
    const { code, output } = await tool.run(['pull', image], 300_000);
    if (code === 0) continue;
    const isNamed = Boolean(process.env[`RAGLINE_TEST_${argument}`]);
    if (isNamed || /manifest unknown|not found/i.test(output))
      throw new Error(`No image ${image}: ${output}`);
    const reason = output.trim().split('\n').at(-1);
    return `${image} cannot be pulled (${reason}); RAGLINE_TEST_${argument} names another`;
  }
  return undefined;
}
