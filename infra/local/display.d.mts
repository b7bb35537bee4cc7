import type { Writable } from 'node:stream';
import type { ProgressEvent } from './progress.ts';

export type Display = {
  mode: 'terminal' | 'plain' | 'json';
  event(event: ProgressEvent): void;
  text(text: string): void;
  data(value: unknown): void;
  end(): void;
};

export function createDisplay(options?: {
  out?: Writable & { isTTY?: boolean; columns?: number };
  json?: boolean;
  now?: () => number;
}): Display;
export function seconds(ms: number): string;
