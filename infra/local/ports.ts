/** Which ports the parts and services listen on: the usual ones, others when those are taken. */
import { createServer } from 'node:net';

import type { PortName } from './layout.mjs';

export type Ports = Record<PortName, number>;

/** Below the range from which systems hand out ports to outgoing connections, so that a part finds its port free when it restarts. */
const spareFrom = 20_000;
const spareTo = 32_000;

/** True when a server could listen on 127.0.0.1 and nobody listens there on all addresses. */
export async function isFree(port: number): Promise<boolean> {
  return (await canListen(port, '127.0.0.1')) && (await canListen(port, '0.0.0.0'));
}

function canListen(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

export type PortChoice = { port: number; taken: number | undefined };

/**
 * Chooses a port: the wanted one, else wanted + 50000 (5432 → 55432), else a spare one.
 *
 * `used` are ports promised to others in this start. `taken` tells which wanted port was not to be had.
 */
export async function choosePort(
  wanted: number | undefined,
  used: Set<number>,
  {
    free = isFree,
    random = Math.random,
  }: { free?: (port: number) => Promise<boolean>; random?: () => number } = {},
): Promise<PortChoice> {
  const candidates = wanted === undefined ? [] : [wanted, wanted + 50_000].filter((port) => port < 65_536);
  for (let tries = 0; tries < 200; tries++)
    candidates.push(spareFrom + Math.floor(random() * (spareTo - spareFrom)));
  for (const port of candidates) {
    if (used.has(port) || !(await free(port))) continue;
    used.add(port);
    return { port, taken: wanted !== undefined && port !== wanted ? wanted : undefined };
  }
  throw new Error(`No free port between ${spareFrom} and ${spareTo}`);
}
