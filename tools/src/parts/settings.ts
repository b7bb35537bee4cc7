/** Where the parts are: from the environment, else from the stack that runs out of this checkout. */
import { readRunningEnv } from '../../../infra/local/state.ts';

/** Thrown when a command needs an address that nobody gave. */
export class MissingSettingError extends Error {
  override name = 'MissingSettingError';
}

/** A reader of settings; names are those of `ragline env`. */
export type Settings = { get(name: string): string; find(name: string): string | undefined };

/** Reads once; a variable that is set wins over the running stack's. */
export async function readSettings(env: NodeJS.ProcessEnv = process.env): Promise<Settings> {
  const running = readRunningEnv() ?? {};
  const find = (name: string) => env[name] || running[name];
  return {
    find,
    get(name) {
      const value = find(name);
      if (value) return value;
      throw new MissingSettingError(
        `${name} is not set and no stack runs here: start one with "npm start", or set it`,
      );
    },
  };
}
