/** Builds and runs our image by podman, or by buildah where that is all there is. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { checkoutDir } from '../../infra/local/layout.mjs';

export type Outcome = { code: number; output: string };

export type ContainerOptions = {
  name: string;
  image: string;
  command: readonly string[];
  environment: Record<string, string>;
  /** As Compose writes it: `512m`. */
  memory: string;
  processesMax: number | undefined;
};

export type Tool = {
  name: 'podman' | 'buildah';
  /** What Compose's read_only, cap_drop, security_opt and limits ask for; buildah alone has only the user. */
  isolates: boolean;
  run(args: readonly string[], withinMs?: number): Promise<Outcome>;
  /** What is to be there before a container starts. */
  beforeArgs: ((options: ContainerOptions) => string[]) | undefined;
  startArgs(options: ContainerOptions): string[];
  execArgs(options: ContainerOptions, command: readonly string[]): string[];
  removeArgs(name: string): string[];
  /** Asks what the child runs to stop. */
  ask(child: ChildProcess): void;
};

const podman: Omit<Tool, 'run'> = {
  name: 'podman',
  isolates: true,
  beforeArgs: undefined,
  startArgs: ({ name, image, command, environment, memory, processesMax }) => [
    ...['run', '--rm', '--name', name, '--network', 'host', '--pull', 'never'],
    // As in docker-compose.yml, which gives nothing but /tmp to write to.
    ...['--read-only', '--read-only-tmpfs=false', '--tmpfs', '/tmp', '--cap-drop', 'ALL'],
    ...['--security-opt', 'no-new-privileges', '--memory', memory],
    ...(processesMax === undefined ? [] : ['--pids-limit', String(processesMax)]),
    // The tests ask themselves; podman would need systemd for it.
    '--no-healthcheck',
    // By name alone: the values are in podman's own environment, where nobody else sees them.
    ...Object.keys(environment).flatMap((setting) => ['--env', setting]),
    ...[image, ...command],
  ],
  execArgs: ({ name }, command) => ['exec', name, ...command],
  removeArgs: (name) => ['rm', '--force', '--ignore', '--time', '0', name],
  ask: (child) => void child.kill('SIGTERM'),
};

const buildah: Omit<Tool, 'run'> = {
  name: 'buildah',
  isolates: false,
  beforeArgs: ({ name, image }) => ['from', '--pull-never', '--name', name, image],
  startArgs: (options) => buildah.execArgs(options, options.command),
  execArgs: ({ name, environment }, command) => [
    ...['run', '--user', '10001:10001', '--network', 'host'],
    ...Object.entries(environment).flatMap(([setting, value]) => ['--env', `${setting}=${value}`]),
    ...[name, '--', ...command],
  ],
  removeArgs: (name) => ['rm', name],
  // buildah would kill it.
  ask: (child) => void (child.pid !== undefined && process.kill(lastOf(child.pid), 'SIGTERM')),
};

/** The process at the end of a chain of parents and children. */
function lastOf(pid: number): number {
  const tasks = readdirSync(`/proc/${pid}/task`);
  const children = tasks.flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean),
  );
  return children[0] === undefined ? pid : lastOf(Number(children[0]));
}

/** podman before buildah; undefined when neither is installed. */
export async function findTool(): Promise<Tool | undefined> {
  for (const tool of [podman, buildah]) {
    const run = (args: readonly string[], withinMs?: number) => runProgram(tool.name, args, withinMs);
    if ((await run(['--version'])).code === 0) return { ...tool, run };
  }
  return undefined;
}

/** Throws an Error with the tool's output unless it succeeds. */
export async function succeed(tool: Tool, args: readonly string[], withinMs?: number): Promise<string> {
  const { code, output } = await tool.run(args, withinMs);
  if (code !== 0)
    throw new Error(`${tool.name} ${args.join(' ')} ended with ${code}: ${output.slice(-4_000)}`);
  return output;
}

function runProgram(file: string, args: readonly string[], withinMs = 60_000): Promise<Outcome> {
  const options = { cwd: checkoutDir, timeout: withinMs, maxBuffer: 2 ** 26 };
  return new Promise((resolve) => {
    execFile(file, args, options, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code) || 1, output: stdout + stderr }),
    );
  });
}

export type Container = {
  name: string;
  /** The end of what it wrote. */
  output(): string;
  /** Resolves when it has ended by itself or was stopped. */
  ended: Promise<unknown>;
  /** Undefined while it runs. */
  exitCode(): number | undefined;
  exec(command: readonly string[]): Promise<Outcome>;
  /** Asks it to stop, as `docker stop` does, and gives its exit code; one that has not ended in time is killed. */
  stop(withinMs?: number): Promise<number>;
};

export async function startContainer(tool: Tool, options: ContainerOptions): Promise<Container> {
  const { name, environment } = options;
  if (tool.beforeArgs) await succeed(tool, tool.beforeArgs(options));
  const env = { ...process.env, ...environment };
  const child = spawn(tool.name, tool.startArgs(options), { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-8_000);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const ended = once(child, 'close');
  return {
    name,
    output: () => output,
    ended,
    exitCode: () => codeOf(child),
    exec: (command) => tool.run(tool.execArgs(options, command)),
    async stop(withinMs = 20_000) {
      if (codeOf(child) === undefined) tool.ask(child);
      const late = setTimeout(() => void removeContainer(tool, name, child), withinMs);
      await ended;
      clearTimeout(late);
      await removeContainer(tool, name, child);
      return codeOf(child) ?? 1;
    },
  };
}

/** Runs a container to its end. */
export async function runContainer(
  tool: Tool,
  options: ContainerOptions,
  withinMs: number,
): Promise<Outcome> {
  const container = await startContainer(tool, options);
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, withinMs);
  await Promise.race([container.ended, late.promise]);
  clearTimeout(timer);
  return { code: await container.stop(), output: container.output() };
}

const codeOf = (child: ChildProcess): number | undefined =>
  child.signalCode !== null ? 128 : (child.exitCode ?? undefined);

async function removeContainer(tool: Tool, name: string, child: ChildProcess): Promise<void> {
  if (codeOf(child) === undefined) child.kill('SIGKILL');
  // podman has removed it by then when it ended well.
  await tool.run(tool.removeArgs(name));
}
