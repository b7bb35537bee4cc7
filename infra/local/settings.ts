/** Judges the settings of everything that is about to start, before anything connects or is written. */
import { SettingsError } from '@ragline/runtime/settings';
import { readConfig as readChatConfig } from '../../services/chat/src/config.ts';
import { readConfig as readDeadLettersConfig } from '../../services/dead-letters/src/config.ts';
import { readConfig as readGatewayConfig } from '../../services/gateway/src/config.ts';
import {
  configFaults as identityFaults,
  readConfig as readIdentityConfig,
} from '../../services/identity/src/config.ts';
import { readConfig as readNotificationsConfig } from '../../services/notifications/src/config.ts';
import {
  configFaults as ordersFaults,
  readConfig as readOrdersConfig,
} from '../../services/orders/src/config.ts';
import { isPart, outside, settingOf } from './addresses.ts';
import type { ServiceName } from './instances.ts';
import { type ServiceContext, settingsOf } from './services.ts';

/** What each service makes of its settings: further faults, or a SettingsError. */
const judges: Record<ServiceName, (env: NodeJS.ProcessEnv) => string[]> = {
  gateway: (env) => faultless(readGatewayConfig(env)),
  identity: (env) => identityFaults(readIdentityConfig(env)),
  orders: (env) => ordersFaults(readOrdersConfig(env)),
  notifications: (env) => faultless(readNotificationsConfig(env)),
  'dead-letters': (env) => faultless(readDeadLettersConfig(env)),
  chat: (env) => faultless(readChatConfig(env)),
};

/** For a service whose settings are well when they can be read. */
const faultless = (_config: unknown): string[] => [];

const partNames = ['postgres', 'kafka', 'registry', 'connect', 'valkey'].filter(isPart);
const secretNames = [
  'KEY_ENCRYPTION_SECRET',
  'CURSOR_KEYS',
  'QUOTE_SECRET',
  'DELEGATION_SECRET',
  'WEBHOOK_KEYS',
];

/** Throws one SettingsError that names every fault of every service. */
export function judgeSettings(context: ServiceContext): void {
  const faults = [
    ...productionFaults(context.env),
    ...context.instances.flatMap((it) => faultsOf(it.service, context)),
  ];
  if (faults.length > 0) throw new SettingsError([...new Set(faults)]);
}

function faultsOf(service: ServiceName, context: ServiceContext): string[] {
  const instance = context.instances.find((it) => it.service === service);
  if (!instance) return [];
  try {
    return judges[service](settingsOf(instance, context)).map((fault) => `${service}: ${fault}`);
  } catch (error) {
    if (error instanceof SettingsError) return error.faults.map((fault) => `${service}: ${fault}`);
    throw error;
  }
}

/** In production nothing may be the stack's own: neither a part nor a secret that was made on the way. */
export function productionFaults(env: NodeJS.ProcessEnv): string[] {
  if (env.RAGLINE_ENV !== 'production') return [];
  const embedded = partNames
    .filter((name) => !outside(env, name))
    .map((name) => `an embedded ${name} is refused: set ${settingOf[name]}`);
  const missing = secretNames.filter((name) => !env[name]).map((name) => `${name} must be set`);
  const demo = env.RAGLINE_DEMO_PASSWORD ? ['RAGLINE_DEMO_PASSWORD: sample users are refused'] : [];
  const failpoints = env.RAGLINE_FAILPOINTS === 'on' ? ['RAGLINE_FAILPOINTS: failpoints are refused'] : [];
  return [...embedded, ...missing, ...demo, ...failpoints].map((fault) => `RAGLINE_ENV=production: ${fault}`);
}
