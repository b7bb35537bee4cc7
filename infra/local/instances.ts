/** How many instances of each service run, and on which ports. */
import { SettingsError } from '@ragline/runtime/settings';
import { choosePort } from './ports.ts';

export const serviceNames = [
  'identity',
  'orders',
  'notifications',
  'dead-letters',
  'chat',
  'gateway',
] as const;
export type ServiceName = (typeof serviceNames)[number];
export type Instances = Partial<Record<ServiceName, number>>;

const instancesMax = 16;

/**
 * Reads `notifications=2,orders=2`. Throws a SettingsError that names what cannot be: another name, no number, or a second
 * gateway, which would need the one public port too.
 */
export function parseInstances(text: string | undefined): Instances {
  const instances: Instances = {};
  for (const entry of (text ?? '').split(',').filter((it) => it.trim() !== '')) {
    const [name = '', count = ''] = entry.split('=').map((it) => it.trim());
    if (!isService(name)) {
      throw new SettingsError([`RAGLINE_INSTANCES: ${name} is no service (${serviceNames.join(', ')})`]);
    }
    const number = Number(count);
    if (!/^\d+$/.test(count) || number < 1 || number > instancesMax) {
      throw new SettingsError([
        `RAGLINE_INSTANCES: ${name}=${count} is not a number from 1 to ${instancesMax}`,
      ]);
    }
    if (name === 'gateway' && number > 1)
      throw new SettingsError(['RAGLINE_INSTANCES: there is one gateway, since it has the one public port']);
    instances[name] = number;
  }
  return instances;
}

const isService = (name: string): name is ServiceName => serviceNames.some((it) => it === name);

export type Instance = {
  service: ServiceName;
  name: string;
  number: number;
  port: number;
  metricsPort?: number;
};

const usualServicePorts = {
  identity: 8101,
  orders: 8102,
  notifications: 8103,
  'dead-letters': 8104,
  chat: 8105,
} as const;
const usualMetricsPort = 8100;

/** One entry an instance. The first ones get the usual ports, the others those ten above (8113 is notifications-2). */
export async function placeInstances(
  wanted: Instances,
  gatewayPort: number,
  used: Set<number>,
  { free = false }: { free?: boolean } = {},
): Promise<Instance[]> {
  const placed: Instance[] = [];
  for (const service of serviceNames) {
    for (let number = 1; number <= (wanted[service] ?? 1); number++) {
      const name = `${service}-${number}`;
      if (service === 'gateway') {
        const { port } = await choosePort(free ? undefined : usualMetricsPort, used);
        placed.push({ service, name, number, port: gatewayPort, metricsPort: port });
      } else {
        const usual = usualServicePorts[service] + (number - 1) * 10;
        const { port } = await choosePort(free ? undefined : usual, used);
        placed.push({ service, name, number, port });
      }
    }
  }
  return placed;
}
