/** Which components of a document are used at all. */
import type { Json } from './openapi.ts';

/** The components that `described` refers to, and those that these refer to; schemes of signing in stay. */
export function withoutUnused(components: { [kind: string]: Json }, described: unknown): Json {
  const used = new Set<string>();
  const waiting = referencesIn(described);
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (used.has(next)) continue;
    used.add(next);
    const [kind = '', name = ''] = next.split('/');
    waiting.push(...referencesIn(components[kind]?.[name]));
  }
  const kept = Object.entries(components).map(([kind, entries]) => {
    const isKept = ([name]: [string, unknown]) => kind === 'securitySchemes' || used.has(`${kind}/${name}`);
    return [kind, Object.fromEntries(Object.entries(entries).filter(isKept))];
  });
  return Object.fromEntries(kept.filter(([, entries]) => Object.keys(entries ?? {}).length > 0));
}

function referencesIn(value: unknown): string[] {
  const found = JSON.stringify(value ?? null).matchAll(/"\$ref":"#\/components\/([^"]+)"/g);
  return [...found].map(([, path = '']) => path);
}
