/** Settings from the environment: read once, judged together, typed from then on. */

/** Every faulty setting of a service, in one message. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(`Settings are missing or wrong:\n${faults.map((fault) => `  ${fault}`).join('\n')}`);
    this.faults = faults;
  }
}

export type SettingsReader = {
  /** A text; required without a fallback. */
  string(name: string, fallback?: string): string;
  optional(name: string): string | undefined;
  /** A whole number in decimal digits. */
  integer(name: string, fallback?: number, bounds?: { min?: number; max?: number }): number;
  /** Whole numbers in decimal digits, comma separated, each within the bounds. */
  integers(name: string, fallback: readonly number[], bounds: { min: number; max: number }): number[];
  /** true, 1, on, yes or false, 0, off, no. */
  boolean(name: string, fallback: boolean): boolean;
  choice<const T extends string>(name: string, options: readonly T[], fallback: NoInfer<T>): T;
  /** An absolute URL, as it was written. */
  url(name: string, fallback?: string): string;
  /** Comma separated, without blanks and empty parts; required and not empty without a fallback. */
  list(name: string, fallback?: readonly string[]): string[];
  /** Like string, but its value never appears in a message. */
  secret(name: string, fallback?: string): string;
};

/**
 * Reads settings; an empty value counts as not set.
 *
 * A faulty setting yields a placeholder, so that one run of `read` finds all faults.
 * Throws SettingsError when there is any.
 */
export function readSettings<T>(env: NodeJS.ProcessEnv, read: (env: SettingsReader) => T): T {
  const faults: string[] = [];
  const settings = read(createReader(env, faults));
  if (faults.length > 0) throw new SettingsError(faults);
  return settings;
}

const truths = new Map<string, boolean>([
  ...['true', '1', 'on', 'yes'].map((word) => [word, true] as const),
  ...['false', '0', 'off', 'no'].map((word) => [word, false] as const),
]);

function createReader(env: NodeJS.ProcessEnv, faults: string[]): SettingsReader {
  const filled = (name: string): string | undefined => {
    const value = env[name]?.trim();
    return value === '' ? undefined : value;
  };
  const faulty = <T>(name: string, why: string, placeholder: T): T => {
    faults.push(`${name} ${why}`);
    return placeholder;
  };
  const string = (name: string, fallback?: string): string =>
    filled(name) ?? fallback ?? faulty(name, 'is not set', '');

  return {
    string,
    secret: string,
    optional: filled,

    integer(name, fallback, { min = 0, max = Number.MAX_SAFE_INTEGER } = {}) {
      const value = filled(name);
      if (value === undefined) return fallback ?? faulty(name, 'is not set', 0);
      const number = /^-?\d+$/.test(value) ? Number(value) : Number.NaN;
      if (Number.isSafeInteger(number) && number >= min && number <= max) return number;
      return faulty(name, `must be a whole number from ${min} to ${max}, not ${quoted(value)}`, 0);
    },

    integers(name, fallback, { min, max }) {
      const value = filled(name);
      if (value === undefined) return [...fallback];
      const numbers = value.split(',').map((part) => (/^\s*\d+\s*$/.test(part) ? Number(part) : Number.NaN));
      if (numbers.every((number) => number >= min && number <= max)) return numbers;
      return faulty(name, `must be whole numbers from ${min} to ${max}, not ${quoted(value)}`, [...fallback]);
    },

    boolean(name, fallback) {
      const value = filled(name);
      if (value === undefined) return fallback;
      return (
        truths.get(value.toLowerCase()) ??
        faulty(name, `must be true or false, not ${quoted(value)}`, fallback)
      );
    },

    choice(name, options, fallback) {
      const value = filled(name);
      if (value === undefined) return fallback;
      const chosen = options.find((option) => option === value);
      return chosen ?? faulty(name, `must be one of ${options.join(', ')}, not ${quoted(value)}`, fallback);
    },

    url(name, fallback) {
      const value = filled(name) ?? fallback;
      if (value === undefined) return faulty(name, 'is not set', '');
      // Not shown: a URL often carries a password.
      return URL.canParse(value) ? value : faulty(name, 'must be an absolute URL', '');
    },

    list(name, fallback) {
      const value = filled(name);
      if (value === undefined) return fallback ? [...fallback] : faulty(name, 'is not set', []);
      const parts = value.split(',').map((part) => part.trim());
      const entries = parts.filter((part) => part !== '');
      return entries.length > 0 ? entries : faulty(name, 'has no entry', []);
    },
  };
}

function quoted(value: string): string {
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
}
