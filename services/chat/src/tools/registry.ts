/**
 * The tools of this service: found in a folder, reloaded when a file changes, switched off and on for each tenant.
 *
 * What a model asks for is only a wish. Whether the tool is there, is on, may be called by this user, and is called with
 * arguments that fit, is decided here; what it answers is checked and bounded here.
 */
import type { Logger } from '@ragline/runtime/logger';
import type { Metrics } from '@ragline/runtime/metrics';
import { withSpan } from '@ragline/runtime/tracing';
import { hasRole, type Role } from '@ragline/web/principal';
import { CutError } from '../domain.ts';
import type { ToolCall, ToolSpec } from '../model/model.ts';
import type { Chunk } from '../retrieval/retrieve.ts';
import { jsonSchemaOf } from './json-schema.ts';
import { loadTools } from './loader.ts';
import { disabledTools } from './switches.ts';
import {
  type NeededApproval,
  type Tool,
  type ToolCaller,
  ToolError,
  type ToolOutcome,
  type ToolParts,
} from './tool.ts';

export type ToolRegistry = Awaited<ReturnType<typeof createToolRegistry>>;

export type RegistryOptions = {
  /** One file a tool. */
  folder: string;
  parts: ToolParts;
  metrics: Metrics;
  log: Logger;
};

const argumentsBytesMax = 16_384;
const resultBytesMax = 16_384;
const faultsShownMax = 8;

/** Loads all tools; rejects when one of them is none. Then watches the folder. */
export async function createToolRegistry({ folder, parts, metrics, log }: RegistryOptions) {
  const tools = await loadTools({ folder, log });
  const calls = metrics.counter('ragline_chat_tool_calls_total', 'Calls of tools, by what became of them.', [
    'tool',
    'outcome',
  ]);
  const seconds = metrics.histogram('ragline_chat_tool_seconds', 'How long a tool ran.', ['tool']);

  /** Tools that are on for the tenant and that somebody with these roles may have called. */
  async function offered(tenantId: string, roles: readonly Role[]): Promise<Tool[]> {
    const disabled = await disabledTools(parts.pool, tenantId);
    return tools.all().filter((tool) => !disabled.has(tool.name) && isAllowed(tool, roles));
  }

  async function run(call: ToolCall, caller: ToolCaller): Promise<Ran> {
    const tool = tools.get(call.name);
    if (tool === undefined) {
      const names = (await offered(caller.tenant_id, caller.roles)).map(({ name }) => name).join(', ');
      return failed('unknown_tool', `There is no such tool. There are: ${names}.`);
    }
    if (!isAllowed(tool, caller.roles)) return failed('forbidden', 'This user may not use the tool.');
    if ((await disabledTools(parts.pool, caller.tenant_id)).has(tool.name)) {
      return failed('tool_disabled', 'The tool is switched off here; answer without it.');
    }
    const input = readArguments(tool, call.arguments);
    if (!input.ok) return failed('invalid_arguments', input.message);
    return runTool(tool, input.value, caller);
  }

  async function runTool(tool: Tool, input: unknown, caller: ToolCaller): Promise<Ran> {
    const timeout = AbortSignal.timeout(tool.timeoutMs);
    const signal = AbortSignal.any([caller.signal, timeout]);
    const chunks = new Map<string, Chunk>();
    let approval: NeededApproval | undefined;
    const number = caller.cite ?? countedFrom1();
    const context = {
      ...caller,
      parts,
      signal,
      cite: (cited: readonly Chunk[]) => {
        for (const chunk of cited) chunks.set(chunk.id, chunk);
        return number(cited);
      },
      needApproval: (needed: NeededApproval) => {
        approval = needed;
      },
    };
    const started = performance.now();
    try {
      const raw = await untilAborted(signal, tool.run(input, context));
      return checked(tool, raw, approval, [...chunks.values()]);
    } catch (error) {
      // The turn itself was cut short, or is another worker's by now: that is not the model's to hear.
      caller.signal.throwIfAborted();
      if (error instanceof CutError) throw error;
      return told(tool, error, timeout.aborted);
    } finally {
      seconds.observe({ tool: tool.name }, (performance.now() - started) / 1_000);
    }
  }

  function checked(tool: Tool, raw: unknown, approval: NeededApproval | undefined, chunks: Chunk[]): Ran {
    const output = tool.output.safeParse(raw);
    if (!output.success) {
      const paths = output.error.issues.slice(0, faultsShownMax).map(({ path }) => path.join('.'));
      log.error('a tool gave a result that does not fit', { tool: tool.name, paths });
      return failed('failed', 'The tool failed; go on without it.');
    }
    const content = JSON.stringify(output.data);
    if (Buffer.byteLength(content) > resultBytesMax) {
      return failed('result_too_large', 'The result is too large; ask for less, with a smaller limit.');
    }
    const summary = tool.summary?.(output.data) ?? 'done';
    return {
      outcome: {
        ok: true,
        content,
        summary,
        ...(approval === undefined ? {} : { approval }),
        ...(chunks.length === 0 ? {} : { chunks }),
      },
      label: 'ok',
    };
  }

  function told(tool: Tool, error: unknown, isTimeout: boolean): Ran {
    if (error instanceof ToolError) return failed(error.code, error.message, error.details);
    if (isTimeout) return failed('timeout', 'The tool took too long; go on without it.');
    log.error('a tool failed', { tool: tool.name, ...outlineOf(error) });
    return failed('failed', 'The tool failed; go on without it.');
  }

  return {
    /** What a model may be told of, for this tenant and these roles; sorted by name, so that prompts repeat. */
    async specs(tenantId: string, roles: readonly Role[]): Promise<ToolSpec[]> {
      return (await offered(tenantId, roles)).map(specOf);
    },

    /** Every tool there is, whoever may call it. */
    list: () => tools.all(),

    /**
     * Runs a call as the model wrote it. A failure is an outcome, in words that the model can use. Throws only when
     * the turn itself must not go on: the signal's reason, CutError.
     */
    async call(call: ToolCall, caller: ToolCaller): Promise<ToolOutcome> {
      const tool = tools.get(call.name)?.name ?? 'unknown';
      return withSpan('chat.tool', { attributes: { 'ragline.tool': tool } }, async (span) => {
        const { outcome, label } = await run(call, caller);
        calls.inc({ tool, outcome: label });
        span.setAttribute('ragline.outcome', label);
        return outcome;
      });
    },

    stop: tools.stop,
  };
}

/** `label` has few values: what the metric counts by. */
type Ran = { outcome: ToolOutcome; label: string };

function failed(code: string, message: string, details: Record<string, unknown> = {}): Ran {
  const content = JSON.stringify({ error: { ...details, code, message } });
  const bounded =
    Buffer.byteLength(content) <= resultBytesMax ? content : JSON.stringify({ error: { code, message } });
  return { outcome: { ok: false, code, content: bounded, summary: code }, label: labelOf(code) };
}

const labels = ['unknown_tool', 'forbidden', 'tool_disabled', 'invalid_arguments', 'timeout', 'failed'];
const labelOf = (code: string) => (labels.includes(code) ? code : 'refused');

/** An error without its message, which may hold what a customer wrote. */
function outlineOf(error: unknown): { error_name: string; error_at: string[] } {
  if (!(error instanceof Error)) return { error_name: typeof error, error_at: [] };
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  return { error_name: error.name, error_at: frames.slice(0, 8).map((line) => line.trim()) };
}

const isAllowed = (tool: Tool, held: readonly Role[]) =>
  tool.roles.some((role) => hasRole({ roles: [...held] }, role));

type Arguments = { ok: true; value: unknown } | { ok: false; message: string };

/** The arguments as the tool reads them, or what is wrong with them, field by field. */
function readArguments(tool: Tool, text: string): Arguments {
  if (Buffer.byteLength(text) > argumentsBytesMax) {
    return { ok: false, message: `The arguments are longer than ${argumentsBytesMax} bytes.` };
  }
  let value: unknown;
  try {
    // A model that needs no arguments often writes none.
    value = text.trim() === '' ? {} : JSON.parse(text, withoutNull);
  } catch {
    return { ok: false, message: 'The arguments are not JSON; send one JSON object.' };
  }
  const read = tool.input.safeParse(value);
  if (read.success) return { ok: true, value: read.data };
  const faults = read.error.issues
    .slice(0, faultsShownMax)
    .map(({ path, message }) => `${path.map(String).join('.') || 'arguments'}: ${message}`);
  return { ok: false, message: `Call again with these mended: ${faults.join('; ')}` };
}

/** Models write null for what they leave out; no tool tells the two apart. */
const withoutNull = (_key: string, value: unknown) => (value === null ? undefined : value);

/** A tool as a model is told of it. */
export function specOf({ name, description, input }: Tool): ToolSpec {
  return { name, description, parameters: jsonSchemaOf(input) };
}

/** The work's outcome, or the signal's reason as soon as it is aborted. */
async function untilAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  // A tool that does not heed the signal goes on; nobody waits for it, or for its failure.
  work.catch(() => {});
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const end = () => reject(signal.reason);
  signal.addEventListener('abort', end, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', end);
  }
}

function countedFrom1(): (chunks: readonly Chunk[]) => number[] {
  const numbers = new Map<string, number>();
  return (chunks) =>
    chunks.map(({ id }) => {
      const number = numbers.get(id) ?? numbers.size + 1;
      numbers.set(id, number);
      return number;
    });
}
