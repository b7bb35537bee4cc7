/** Prompts are files: their name is the file's, their version the hash of their text. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PromptName } from './model.ts';

export type Prompt = PromptName & {
  /**
   * The text with each `{{name}}` replaced, once: what stands in a value is never a place for another.
   * Throws Error for a value that is missing and for one that has no place.
   */
  render(values?: Readonly<Record<string, string>>): string;
};

export type Prompts = {
  /** Throws Error for a name that no file has. */
  prompt(name: string): Prompt;
  names(): string[];
};

const promptsFolder = join(import.meta.dirname, '..', '..', 'prompts');

/** Reads every `<name>.md` of the folder, once. */
export function loadPrompts(folder: string = promptsFolder): Prompts {
  const files = readdirSync(folder).filter((file) => file.endsWith('.md'));
  const prompts = new Map(
    files.sort().map((file) => {
      const name = file.replace(/\.md$/, '');
      return [name, promptOf(name, readFileSync(join(folder, file), 'utf8'))] as const;
    }),
  );
  return {
    prompt(name) {
      const found = prompts.get(name);
      if (found === undefined) throw new Error(`There is no prompt ${name} in ${folder}`);
      return found;
    },
    names: () => [...prompts.keys()],
  };
}

const place = /\{\{\s*([a-z_]+)\s*\}\}/g;

export function promptOf(name: string, source: string): Prompt {
  // The same text has the same version wherever it was checked out.
  const text = source.replace(/\r\n/g, '\n').trim();
  const places = new Set([...text.matchAll(place)].map(([, placeName]) => placeName ?? ''));
  return {
    name,
    hash: createHash('sha256').update(text).digest('hex').slice(0, 16),
    render(values = {}) {
      const odd = Object.keys(values).find((value) => !places.has(value));
      if (odd !== undefined) throw new Error(`The prompt ${name} has no place for ${odd}`);
      return text.replace(place, (_, placeName: string) => {
        const value = values[placeName];
        if (value === undefined) throw new Error(`The prompt ${name} needs ${placeName}`);
        return value;
      });
    },
  };
}
