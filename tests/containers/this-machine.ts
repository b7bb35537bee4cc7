/** docker-compose.yml's services on the parts of a local stack: the same names of settings, other addresses. */
import {
  composeService,
  composeServices,
  environmentOf,
  madeEnv,
} from '../../infra/docker/compose.support.ts';
import { host, type PartContext } from '../../infra/local/part.ts';
import { choosePort } from '../../infra/local/ports.ts';

export type ThisMachine = {
  /** What Compose would take from .env: as make-env.sh makes it, but the passwords are the local parts'. */
  variables: ReadonlyMap<string, string>;
  /** `kafka:9092`, as containers call it, and where that is on this machine. */
  addresses: ReadonlyMap<string, string>;
};

export async function thisMachine({ secrets, ports }: PartContext): Promise<ThisMachine> {
  const addresses = new Map([
    ['postgres:5432', `${host}:${ports.postgres}`],
    ['valkey:6379', `${host}:${ports.valkey}`],
    ['kafka:9092', `${host}:${ports.kafka}`],
    ['registry:8080', `${host}:${ports.registry}`],
    // In its network Connect asks for no password; here everybody on the machine could reach it.
    ['connect:8083', `ragline:${secrets.connect}@${host}:${ports.connect}`],
  ]);
  const used = new Set<number>(Object.values(ports));
  for (const [name, { environment }] of Object.entries(composeServices)) {
    for (const port of portsIn(environment)) {
      addresses.set(`${name}:${port}`, `${host}:${(await choosePort(undefined, used)).port}`);
    }
  }
  const local = {
    POSTGRES_PASSWORD: secrets.postgres,
    POSTGRES_PASSWORD_IDENTITY: secrets.postgres_identity,
    POSTGRES_PASSWORD_ORDERS: secrets.postgres_orders,
    POSTGRES_PASSWORD_NOTIFICATIONS: secrets.postgres_notifications,
    POSTGRES_PASSWORD_DEAD_LETTERS: secrets.postgres_dead_letters,
    POSTGRES_PASSWORD_CHAT: secrets.postgres_chat,
    POSTGRES_PASSWORD_CDC: secrets.postgres_cdc,
    POSTGRES_PASSWORD_REGISTRY: secrets.postgres_registry,
    KAFKA_PASSWORD: secrets.kafka,
    KAFKA_PASSWORD_CONNECT: secrets.kafka_connect,
    KAFKA_PASSWORD_IDENTITY: secrets.kafka_identity,
    KAFKA_PASSWORD_ORDERS: secrets.kafka_orders,
    KAFKA_PASSWORD_NOTIFICATIONS: secrets.kafka_notifications,
    KAFKA_PASSWORD_DEAD_LETTERS: secrets.kafka_dead_letters,
    KAFKA_PASSWORD_CHAT: secrets.kafka_chat,
    REGISTRY_PASSWORD: secrets.registry,
    REDIS_PASSWORD: secrets.valkey,
  };
  return { variables: new Map([...madeEnv(), ...Object.entries(local)]), addresses };
}

const portNames = ['PORT', 'METRICS_PORT'];

const portsIn = (environment: Record<string, string>): string[] =>
  Object.entries(environment).flatMap(([name, value]) => (portNames.includes(name) ? [value] : []));

/** What a service of the compose file is started with on this machine. */
export function startOf(name: string, machine: ThisMachine) {
  const service = composeService(name);
  const portFor = (port: string): string => machine.addresses.get(`${name}:${port}`)?.split(':')[1] ?? port;
  const environment = environmentOf(service, machine);
  for (const setting of portNames) {
    if (environment[setting] !== undefined) environment[setting] = portFor(environment[setting]);
  }
  return {
    environment,
    command: service.command.map(portFor),
    memory: service.mem_limit,
    processesMax: service.pids_limit,
  };
}
