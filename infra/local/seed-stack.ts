/** Sample tenants, users, products and orders. */
import path from 'node:path';
import { seed } from '../../tools/src/parts/seed-data.ts';
import { StartFailure } from './failure.ts';
import type { Instance } from './instances.ts';
import { checkoutDir } from './layout.mjs';
import { CommandFailed, runCommand } from './run-command.ts';
import { type ServiceContext, settingsOf } from './services.ts';

/** Makes the sample users, straight in identity's tables: nobody who could make them over REST is there yet. */
export async function seedUsers(context: ServiceContext): Promise<void> {
  const logFile = path.join(context.logsDir, 'seed.log');
  const identity: Instance = { service: 'identity', name: 'identity-1', number: 1, port: 0 };
  const env = {
    ...settingsOf(identity, context),
    RAGLINE_DEMO_PASSWORD: context.secrets.demo,
    SENTINEL_PASSWORD: context.secrets.sentinel,
  };
  const script = path.join(checkoutDir, 'services', 'identity', 'src', 'seed.ts');
  try {
    await runCommand(
      { file: process.execPath, args: [script], env, cwd: checkoutDir },
      { logFile, dataDir: context.dataDir, withinMs: 60_000 },
    );
  } catch (error) {
    const reason = error instanceof CommandFailed ? error.message : String(error);
    throw new StartFailure('sample users', `The sample users could not be made: ${reason}`, {
      cause: error,
      logFile,
      mend: 'npm start',
    });
  }
}

/** Makes products and orders over REST, as a client would. Says what there is. */
export async function seedData(url: string, { secrets }: Pick<ServiceContext, 'secrets'>): Promise<string> {
  const { tenants, products, documents, orders } = await seed({
    url,
    demoPassword: secrets.demo,
    sentinelPassword: secrets.sentinel,
  });
  return `${tenants} tenants, ${products} products, ${documents} documents, ${orders} orders`;
}
