import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Pool } from '@ragline/postgres/pool';
import { poolOf } from '@ragline/postgres/testing';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../../../../tests/support/eventually.ts';
import { CutError } from '../domain.ts';
import { switchTool } from './switches.ts';
import { aConversation, type Conversation, callerIn, type Desk, openDesk } from './tools.support.ts';

describe('the registry of tools', () => {
  let pool: Pool;
  let desk: Desk;
  let folder: string;
  let mine: Conversation;

  before(async () => {
    pool = poolOf('ragline_chat', 4);
    mine = await aConversation(pool);
    folder = await mkdtemp(join(tmpdir(), 'ragline-tools-'));
    await write('echo.ts', 'return { said: input.say, when: context.turn_id };');
    await write('slow.ts', 'await new Promise(() => {});', { timeoutMs: 50 });
    await write('large.ts', "return { said: 'x'.repeat(20_000) };");
    await write('odd.ts', 'return { said: 7 };');
    await write('broken.ts', "throw new Error('the secret of the customer');");
    await write('staffs.ts', 'return { said: input.say };', { roles: "['staff']" });
    desk = await openDesk({ pool, folder });
  });
  after(async () => {
    await desk?.stop();
    await pool?.end();
    await rm(folder, { recursive: true, force: true });
  });

  /** A file with a tool named after it. Without types and imports of ours: it lies outside of the checkout. */
  async function write(file: string, body: string, { timeoutMs = 2_000, roles = "['customer']" } = {}) {
    const source = `import { z } from '${import.meta.resolve('zod')}';
      export default {
        name: '${file.replace('.ts', '')}', description: 'Says it.', effect: 'read', roles: ${roles}, timeoutMs: ${timeoutMs},
        input: z.strictObject({ say: z.string().max(9).optional(), id: z.uuid().optional() }),
        output: z.object({ said: z.string().optional() }),
        async run(input, context) { ${body} },
      };`;
    await writeFile(join(folder, file), source);
  }

  const call = (name: string, args: unknown = {}, caller = callerIn(mine)) => {
    const text = typeof args === 'string' ? args : JSON.stringify(args);
    return desk.registry.call({ id: '1', name, arguments: text }, caller);
  };
  const codeOf = async (...asked: Parameters<typeof call>) => {
    const outcome = await call(...asked);
    return outcome.ok ? 'ok' : outcome.code;
  };

  it('runs a tool with what it was asked for, and tells nothing that its output does not name', async () => {
    assert.deepEqual(await call('echo', { say: 'hello' }), {
      ok: true,
      content: '{"said":"hello"}',
      summary: 'done',
    });
    for (const args of ['', '{"say":null}']) assert.equal(await codeOf('echo', args), 'ok');
  });

  it('tells a model what is wrong with its arguments, field by field', async () => {
    const outcome = await call('echo', { say: 'much too long', more: 1 });
    assert.ok(!outcome.ok && outcome.code === 'invalid_arguments');
    const { error } = JSON.parse(outcome.content);
    assert.match(error.message, /say: .*; arguments: .*more/);
    for (const args of ['not JSON', '[]', '"x"', JSON.stringify({ say: 'x'.repeat(20_000) })]) {
      assert.equal(await codeOf('echo', args), 'invalid_arguments');
    }
  });

  it('tells a model of a failure without its details, of a late one, and of a result that is too large', async () => {
    assert.equal(await codeOf('slow'), 'timeout');
    assert.equal(await codeOf('large'), 'result_too_large');
    assert.equal(await codeOf('odd'), 'failed');
    const broken = await call('broken');
    assert.ok(!broken.ok && broken.code === 'failed' && !broken.content.includes('secret'));
    assert.ok(desk.log.lines.some((line) => line.startsWith('a tool failed')));
    assert.ok(!desk.log.lines.some((line) => line.includes('secret')), 'nor does the log');
    const unknown = await call('nothing');
    assert.ok(!unknown.ok && unknown.code === 'unknown_tool' && unknown.content.includes('echo'));
  });

  it('offers a tool to those who may have it called, whatever the model asks for', async () => {
    const staff = callerIn(mine, { roles: ['staff'] });
    const namesFor = async ({ tenant_id, roles }: typeof staff) =>
      (await desk.registry.specs(tenant_id, roles)).map(({ name }) => name);
    assert.ok(!(await namesFor(callerIn(mine))).includes('staffs'));
    assert.ok((await namesFor(staff)).includes('staffs') && (await namesFor(staff)).includes('echo'));
    assert.equal(await codeOf('staffs'), 'forbidden');
    assert.equal(await codeOf('staffs', {}, staff), 'ok');
    assert.equal(await codeOf('echo', {}, callerIn(mine, { roles: ['operator'] })), 'forbidden');
  });

  it('describes arguments as JSON Schema', async () => {
    const [spec] = await desk.registry.specs(mine.tenant_id, ['customer']);
    assert.deepEqual([spec?.name, spec?.description], ['broken', 'Says it.']);
    assert.deepEqual(spec?.parameters, {
      type: 'object',
      properties: { say: { type: 'string', maxLength: 9 }, id: { type: 'string', format: 'uuid' } },
      additionalProperties: false,
    });
  });

  it('leaves out what a tenant has switched off, at once, and for that tenant alone', async () => {
    const other = await aConversation(pool);
    const admin = { tenant_id: mine.tenant_id, user_id: randomUUIDv7() };
    await switchTool(pool, admin, 'echo', false);
    assert.equal(await codeOf('echo'), 'tool_disabled');
    assert.ok(!(await desk.registry.specs(mine.tenant_id, ['customer'])).some(({ name }) => name === 'echo'));
    assert.equal(await codeOf('echo', {}, callerIn(other)), 'ok');
    await switchTool(pool, admin, 'echo', true);
    assert.equal(await codeOf('echo'), 'ok');
  });

  it('ends a call with the turn, and says why', async () => {
    const controller = new AbortController();
    const calling = call('slow', {}, callerIn(mine, { signal: controller.signal }));
    controller.abort(new CutError('stop'));
    await assert.rejects(calling, CutError);
  });

  it('reads a file again when it changes, takes up new ones, and keeps what was good of a faulty one', async () => {
    const said = async (name: string) => {
      const outcome = await call(name);
      return outcome.ok ? JSON.parse(outcome.content).said : outcome.code;
    };
    await write('changing.ts', "return { said: 'first' };");
    await eventually(async () => assert.equal(await said('changing'), 'first'));
    await write('changing.ts', "return { said: 'the second' };");
    await eventually(async () => assert.equal(await said('changing'), 'the second'));
    await writeFile(join(folder, 'changing.ts'), 'export default { name: "changing" };');
    await write('another.ts', "return { said: 'taken up after the faulty one' };");
    await eventually(async () => assert.equal(await said('another'), 'taken up after the faulty one'));
    assert.equal(await said('changing'), 'the second');
    await rm(join(folder, 'another.ts'));
    await eventually(async () => assert.equal(await said('another'), 'unknown_tool'));
  });

  it('counts calls by tool and outcome, and never by what a model made up', async () => {
    await call('a_tool_that_is_made_up');
    const text = await desk.metrics.text();
    assert.match(text, /ragline_chat_tool_calls_total\{tool="echo",outcome="ok",service="chat"\} \d/);
    assert.match(text, /ragline_chat_tool_calls_total\{tool="unknown",outcome="unknown_tool"/);
    assert.match(text, /ragline_chat_tool_seconds_count\{[^}]*tool="slow"/);
    assert.ok(!text.includes('made_up'));
  });

  it('does not start with a file that has no tool', async () => {
    const faulty = await mkdtemp(join(tmpdir(), 'ragline-tools-'));
    await writeFile(join(faulty, 'nothing.ts'), 'export const x = 1;');
    await assert.rejects(openDesk({ pool, fake: desk.fake, folder: faulty }), /must have a tool/);
    await rm(faulty, { recursive: true });
  });
});
