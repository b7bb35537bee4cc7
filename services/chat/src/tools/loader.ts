/** Finds tools: each file of a folder is one, and is read again when it changes. */
import { watch } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Logger } from '@ragline/runtime/logger';
import { z } from 'zod';
import { jsonSchemaOf } from './json-schema.ts';
import type { Tool } from './tool.ts';

/** Editors write a file in several steps: it is read once they are done. */
const settleMs = 100;

const toolShape = z.custom<Tool>(isTool, 'must have a tool as its default export');

/**
 * Loads every tool in the folder. Rejects when a file has none, when two have the same name, or when a model could not
 * be told of its arguments. A file that changes later and is faulty leaves the tool as it was.
 *
 * Only the file itself is read again, not what it imports.
 */
export async function loadTools({ folder, log }: { folder: string; log: Logger }) {
  const byFile = new Map<string, Tool>();
  for (const file of (await readdir(folder)).filter(isToolFile).sort()) {
    add(file, await load(file));
  }
  let byName = named();

  const timers = new Map<string, NodeJS.Timeout>();
  const watcher = watch(folder, { persistent: false }, (_event, file) => {
    if (file === null || !isToolFile(file)) return;
    clearTimeout(timers.get(file));
    timers.set(
      file,
      setTimeout(() => void reload(file), settleMs),
    );
  });
  watcher.on('error', (error) => log.warn('tools are no longer reloaded', { error }));

  async function load(file: string): Promise<Tool> {
    const path = join(folder, file);
    const { mtimeMs, size } = await stat(path);
    // Node keeps what it has imported under its address: another address is another module.
    const module: unknown = await import(`${pathToFileURL(path).href}?v=${mtimeMs}-${size}`);
    const found =
      typeof module === 'object' && module !== null && 'default' in module ? module.default : null;
    const tool = toolShape.parse(found);
    jsonSchemaOf(tool.input);
    return tool;
  }

  function add(file: string, tool: Tool): void {
    for (const [other, { name }] of byFile) {
      if (other !== file && name === tool.name) throw new TypeError(`${file} and ${other} are both ${name}`);
    }
    byFile.set(file, tool);
  }

  async function reload(file: string): Promise<void> {
    timers.delete(file);
    try {
      if (await exists(join(folder, file))) add(file, await load(file));
      else byFile.delete(file);
      byName = named();
      log.info('tool reloaded', { file });
    } catch (error) {
      log.error('tool not reloaded: it stays as it was', { file, error });
    }
  }

  function named(): Map<string, Tool> {
    const sorted = [...byFile.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    return new Map(sorted.map((tool) => [tool.name, tool]));
  }

  return {
    get: (name: string): Tool | undefined => byName.get(name),
    /** By name. */
    all: (): Tool[] => [...byName.values()],
    stop(): void {
      watcher.close();
      for (const timer of timers.values()) clearTimeout(timer);
    },
  };
}

const isToolFile = (file: string) => /^[\w-]+\.ts$/.test(file);

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() === true;
}

function isTool(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const it: Partial<Record<keyof Tool, unknown>> = value;
  return (
    typeof it.name === 'string' &&
    /^[a-z][a-z0-9_]{1,63}$/.test(it.name) &&
    typeof it.description === 'string' &&
    it.input instanceof z.ZodType &&
    it.output instanceof z.ZodType &&
    Array.isArray(it.roles) &&
    it.roles.length > 0 &&
    (it.effect === 'read' || it.effect === 'write') &&
    typeof it.timeoutMs === 'number' &&
    it.timeoutMs > 0 &&
    typeof it.run === 'function'
  );
}
