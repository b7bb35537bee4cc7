export type CheckRow = { name: string; state: 'done' | 'warning' | 'failed'; text: string; mend?: string };
export function checkMachine(options?: { env?: NodeJS.ProcessEnv; packagesMissing?: boolean }): CheckRow[];
export function gb(bytes: number): string;
