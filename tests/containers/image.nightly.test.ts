/** Our image is built by the Dockerfile and run as docker-compose.yml runs it, on real parts of this machine. */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type Context, describe, it } from 'mocha';
import { removeData } from '../../infra/local/remove-data.ts';
import { type Stack, startStack } from '../../infra/local/start-stack.ts';
import { listenInNode } from '../faults/event-source.ts';
import { signIn } from '../faults/session.ts';
import { eventually } from '../support/eventually.ts';
import { httpTo } from '../support/http.ts';
import { basesOf, fetchBases } from './bases.ts';
import { startOf, type ThisMachine, thisMachine } from './this-machine.ts';
import { type Container, findTool, runContainer, startContainer, succeed, type Tool } from './tool.ts';

/** In the order in which Compose starts them: those on one line together. */
const waves = [['identity', 'orders', 'notifications', 'dead-letters', 'chat'], ['gateway'], ['reconcile']];
const image = `localhost/ragline-test:${randomBytes(4).toString('hex')}`;

describe('our image', function () {
  this.timeout(1_800_000);
  let tool: Tool;
  let stack: Stack | undefined;
  let dataDir: string | undefined;
  let machine: ThisMachine;
  const running: Container[] = [];

  before(async function () {
    const found = await findTool();
    if (!found) return skip(this, 'neither podman nor buildah is installed');
    tool = found;
    const bases = basesOf(process.env);
    const reason = await fetchBases(tool, bases);
    if (reason !== undefined) return skip(this, reason);
    dataDir = await mkdtemp(join(process.env.RAGLINE_TEST_DIR ?? tmpdir(), 'image-'));
    stack = await startStack({ dataDir, ports: 'free', partsOnly: true });
    machine = await thisMachine(stack.context);
    const builtFrom = [...bases].flatMap(([argument, base]) => ['--build-arg', `${argument}=${base}`]);
    const file = ['--file', 'infra/docker/Dockerfile', '--format', 'docker', '--tag', image];
    // No layers are kept: what is tested is what is built here and now.
    const alone = ['--layers=false', '--force-rm'];
    await succeed(tool, ['build', ...file, ...alone, ...builtFrom, '.'], 900_000);
  });

  after(async () => {
    for (const container of running.reverse()) await container.stop();
    await stack?.stop();
    if (dataDir !== undefined) await removeData(dataDir);
    if (tool !== undefined) await tool.run(['rmi', image]);
  });

  it('has a health check, a user that is not root, and nothing that only we need', async () => {
    const written = await succeed(tool, ['inspect', '--type', 'image', image]);
    assert.match(
      written,
      /"Healthcheck": \{\s+"Test": \[\s+"CMD",\s+"node",\s+"infra\/docker\/healthy\.mjs"/,
    );
    assert.match(written, /"User": "10001:10001"/);
    const limits = { memory: '128m', processesMax: 20, environment: {} };
    const command = ['find', '/app', '-name', 'node_modules', '-prune', '-o', '-type', 'f'];
    command.push('(', '-name', '.env*', '-o', '-name', '*.test.ts', ')', '-print');
    assert.deepEqual(await once('find', { command, ...limits }), { code: 0, output: '' });
  });

  it('prepares the parts, by the commands of the compose file, and again without harm', async () => {
    for (const name of ['accounts', 'prepare', 'prepare']) {
      const { code, output } = await once(name);
      assert.equal(code, 0, `${name}: ${output}`);
    }
  });

  it('runs every service until its own health check is content', async () => {
    for (const wave of waves) {
      for (const name of wave) running.push(await startContainer(tool, containerOf(name)));
      for (const container of running) await healthy(container);
    }
    const { status, text } = await httpTo(gatewayUrl())('GET', '/readyz');
    assert.equal(status, 200, text);
    assert.equal(JSON.parse(text).status, 'ready', text);
  });

  it('fills in the sample data over REST', async () => {
    const { code, output } = await once('samples');
    assert.equal(code, 0, output);
  });

  it('carries an order from the gateway to an event source', async () => {
    const password = machine.variables.get('RAGLINE_DEMO_PASSWORD') ?? '';
    const customer = await signIn(gatewayUrl(), 'demo', 'customer@demo.example', password);
    const http = httpTo(gatewayUrl());
    const token = await customer.token();
    const products = await http('GET', '/v1/products?available=true&limit=1', { token });
    const listener = await listenInNode(customer);
    try {
      const body = { items: [{ product_id: products.body.data[0].id, quantity: 1 }] };
      const placed = await http('POST', '/v1/orders', {
        token,
        headers: { 'idempotency-key': randomUUID() },
        body,
      });
      assert.equal(placed.status, 201, placed.text);
      await eventually(async () => assert.ok((await listener.orderIds()).includes(placed.body.id)), {
        withinMs: 60_000,
      });
    } finally {
      await listener.close();
    }
  });

  it('is nobody who could write into its own file system', async () => {
    const script = await readFile(join(import.meta.dirname, 'confined.mjs'), 'utf8');
    for (const container of running) {
      // Without a container's own processes there is no way to name the service's.
      const id = tool.isolates ? '1' : 'self';
      const { code, output } = await container.exec(['node', '--input-type=module', '--eval', script, id]);
      assert.equal(code, 0, `${container.name}: ${output}`);
      const { user, writes, ...kernel } = JSON.parse(output);
      assert.equal(user, '10001', container.name);
      assert.deepEqual(writes, tool.isolates ? ['/tmp'] : ['/var/tmp', '/tmp'], container.name);
      if (tool.isolates) assert.deepEqual(kernel, { capabilities: '0000000000000000', gainsNone: '1' });
    }
  });

  it('ends by itself when it is asked to, the last that was started first', async () => {
    for (const container of running.splice(0).reverse()) {
      assert.equal(await container.stop(), 0, `${container.name}: ${container.output()}`);
    }
  });

  const gatewayUrl = (): string => `http://${machine.addresses.get('gateway:8080')}`;

  const containerOf = (name: string, start = startOf(name, machine)) => ({
    name: `${image.split(':')[1]}-${name}`,
    image,
    ...start,
  });

  const once = (name: string, start = startOf(name, machine)) =>
    runContainer(tool, containerOf(name, start), 900_000);

  async function healthy(container: Container): Promise<void> {
    await eventually(
      async () => {
        assert.equal(container.exitCode(), undefined, `${container.name} ended: ${container.output()}`);
        const { code, output } = await container.exec(['node', 'infra/docker/healthy.mjs']);
        assert.equal(code, 0, `${container.name} is not healthy: ${output} ${container.output()}`);
      },
      { withinMs: 300_000, everyMs: 1_000 },
    );
  }
});

function skip(context: Context, reason: string): void {
  console.log(`    skipped: ${reason}`);
  context.skip();
}
