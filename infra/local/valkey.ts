/** Valkey: a cache with a password; its append-only file lets a restart keep what it had. */
import { mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { need } from './fetch-parts.ts';
import { cleanEnvironment, host, type PartContext, type Plan } from './part.ts';
import { writePrivately } from './secrets.ts';
import type { ProcessDefinition } from './supervisor.ts';

export const valkeyUrl = ({ ports, secrets }: Plan): string =>
  `redis://:${secrets.valkey}@${host}:${ports.valkey}`;

export function valkey(context: PartContext): ProcessDefinition {
  const dir = path.join(context.dataDir, 'valkey');
  const config = path.join(dir, 'valkey.conf');
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  return {
    name: 'valkey',
    logFile: path.join(context.logsDir, 'valkey.log'),
    command: () => {
      // In a file, since everybody on the machine can read a command line.
      writePrivately(config, configOf(context, dir));
      return {
        file: need(context.files.valkeyServer),
        args: [config],
        env: cleanEnvironment(context.env),
        cwd: dir,
      };
    },
    ready: () => ping(valkeyUrl(context)),
    readyWithinMs: 30_000,
  };
}

function configOf({ ports, secrets }: PartContext, dir: string): string {
  return [
    `bind ${host}`,
    `port ${ports.valkey}`,
    `requirepass ${secrets.valkey}`,
    `dir ${JSON.stringify(dir)}`,
    'appendonly yes',
    'save ""',
    'maxmemory 128mb',
    'maxmemory-policy allkeys-lru',
    // Its process title would overwrite the mark by which a killed start's processes are found.
    'set-proc-title no',
    '',
  ].join('\n');
}

/** Logs in and asks for a PONG; throws with the server's answer otherwise. */
export function ping(url: string, withinMs = 2_000): Promise<void> {
  const { hostname, port, password, username } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port || 6379) });
    const end = (error?: Error) => {
      socket.destroy();
      if (error) reject(error);
      else resolve();
    };
    let answer = '';
    socket.setTimeout(withinMs, () => end(new Error('no answer')));
    socket.once('error', end);
    socket.once('close', () => end(new Error('connection closed')));
    socket.once('connect', () => {
      const name = username === '' ? '' : `${decodeURIComponent(username)} `;
      if (password !== '') socket.write(`AUTH ${name}${decodeURIComponent(password)}\r\n`);
      socket.write('PING\r\n');
    });
    socket.on('data', (chunk) => {
      answer += chunk.toString();
      if (answer.includes('+PONG')) end();
      else if (/^-/m.test(answer)) end(new Error(answer.trim()));
    });
  });
}
