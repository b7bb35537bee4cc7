/** Who may do what on Kafka: a user for each service, with the rights that its work needs and no others. */
import { allTopics, topics } from '@ragline/schemas/topics';
import kafkajs, { type AclEntry } from 'kafkajs';
import { connectGroup, connectTopics } from './connect.ts';
import type { kafkaClient } from './kafka.ts';

// A CommonJS module: its enumerations are reached through the default export.
const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs;

export type Right = {
  resource: 'topic' | 'group' | 'transaction' | 'cluster';
  name: string;
  match: 'literal' | 'prefixed';
  /** Kafka asks for denials first: what is denied stays so, whatever is allowed. */
  denied?: true;
  operations: ('read' | 'write' | 'describe' | 'create' | 'describe_configs' | 'idempotent_write')[];
};

export type TopicNames = {
  /** Their records come from an outbox, so that Connect writes them and services only read them. */
  fromOutbox: string[];
  /** What services write themselves, by service. */
  directOf: Record<string, string[]>;
  /** The connector's own, such as its sign of life. */
  ofConnect: string[];
  deadLettersOf: Record<string, string>;
};

/** The rights of each user, as a table. */
export function rightsOf({
  fromOutbox,
  directOf,
  ofConnect,
  deadLettersOf,
}: TopicNames): Record<string, Right[]> {
  const readsAll: Right[] = fromOutbox.map((name) => topic(name, ['read', 'describe']));
  // Without a group of its own, a reader that holds its positions by hand still asks for offsets.
  const service = (user: string): Right[] => [
    ...readsAll,
    { resource: 'group', name: user, match: 'prefixed', operations: ['read', 'describe'] },
  ];
  const deadLetters = Object.entries(deadLettersOf);
  const lettersOf = (user: string): Right[] =>
    deadLetters
      .filter(([group]) => group.startsWith(user))
      .map(([, name]) => topic(name, ['write', 'describe']));
  const direct = Object.values(directOf).flat();
  const others = [...fromOutbox, ...direct, ...ofConnect, ...connectTopics, ...kafkaTopics];
  return {
    connect: [
      ...connectTopics.map((name) =>
        topic(name, ['read', 'write', 'create', 'describe', 'describe_configs']),
      ),
      ...[...fromOutbox, ...ofConnect].map((name) => topic(name, ['write', 'describe'])),
      { resource: 'group', name: connectGroup, match: 'prefixed', operations: ['read', 'describe'] },
      { resource: 'group', name: 'connect-', match: 'prefixed', operations: ['read', 'describe'] },
      { resource: 'transaction', name: connectGroup, match: 'prefixed', operations: ['write', 'describe'] },
      {
        resource: 'transaction',
        name: `connect-cluster-${connectGroup}`,
        match: 'literal',
        operations: ['write', 'describe'],
      },
      {
        resource: 'cluster',
        name: 'kafka-cluster',
        match: 'literal',
        operations: ['describe', 'idempotent_write'],
      },
    ],
    identity: service('identity'),
    orders: service('orders'),
    notifications: [
      ...service('notifications'),
      // Answers go out on its sockets too.
      ...direct
        .filter((name) => name === topics.chatEvents.name)
        .map((name) => topic(name, ['read', 'describe'])),
      // The group webhooks is the same service's.
      { resource: 'group', name: 'webhooks', match: 'prefixed', operations: ['read', 'describe'] },
      ...lettersOf('notifications'),
      ...lettersOf('webhooks'),
      idempotentWrite,
    ],
    chat: [
      ...service('chat'),
      ...(directOf.chat ?? []).map((name) => topic(name, ['read', 'write', 'describe'])),
      ...lettersOf('chat'),
      idempotentWrite,
    ],
    // Dead letters are read from whatever ends in .dlq and sent back to whatever ends in .replay, also of groups that
    // come later or are others' own; Kafka knows no endings. So: everything but what is known to be something else.
    'dead-letters': [
      topic('*', ['read', 'write', 'describe']),
      ...others.map((name) => ({ ...topic(name, ['read', 'write']), denied: true as const })),
      ...deadLetters.map(([, name]) => ({ ...topic(name, ['write']), denied: true as const })),
      // A record in a tier would be tried as often as the tiers say, not once.
      ...deadLetters.map(([group]) => tiersOf(group)),
      { resource: 'group', name: 'dead-letters', match: 'prefixed', operations: ['read', 'describe'] },
      idempotentWrite,
    ],
  };
}

/** Of the broker itself. */
const kafkaTopics = ['__consumer_offsets', '__transaction_state'];

const idempotentWrite: Right = {
  resource: 'cluster',
  name: 'kafka-cluster',
  match: 'literal',
  operations: ['idempotent_write'],
};

const topic = (name: string, operations: Right['operations']): Right => ({
  resource: 'topic',
  name,
  match: 'literal',
  operations,
});

const tiersOf = (group: string): Right => ({
  resource: 'topic',
  name: `${group}.retry.`,
  match: 'prefixed',
  operations: ['write'],
  denied: true,
});

const resources = {
  topic: AclResourceTypes.TOPIC,
  group: AclResourceTypes.GROUP,
  transaction: AclResourceTypes.TRANSACTIONAL_ID,
  cluster: AclResourceTypes.CLUSTER,
};

const operationTypes = {
  read: AclOperationTypes.READ,
  write: AclOperationTypes.WRITE,
  create: AclOperationTypes.CREATE,
  describe: AclOperationTypes.DESCRIBE,
  describe_configs: AclOperationTypes.DESCRIBE_CONFIGS,
  idempotent_write: AclOperationTypes.IDEMPOTENT_WRITE,
};

/** The table as Kafka's ACL entries. */
export function aclEntries(rights: Record<string, Right[]>): AclEntry[] {
  return Object.entries(rights).flatMap(([user, list]) =>
    list.flatMap(({ resource, name, match, operations, denied }) =>
      operations.map((operation) => ({
        principal: `User:${user}`,
        host: '*',
        operation: operationTypes[operation],
        permissionType: denied ? AclPermissionTypes.DENY : AclPermissionTypes.ALLOW,
        resourceType: resources[resource],
        resourceName: name,
        resourcePatternType:
          match === 'literal' ? ResourcePatternTypes.LITERAL : ResourcePatternTypes.PREFIXED,
      })),
    ),
  );
}

/** Grants the rights; granting again changes nothing. */
export async function ensureAcls(kafka: ReturnType<typeof kafkaClient>, names: TopicNames): Promise<void> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    await admin.createAcls({ acl: aclEntries(rightsOf(names)) });
  } finally {
    await admin.disconnect();
  }
}

/** Topics with a schema of ours are filled from outboxes, if not by their service; dead letters are written by the group that gives up. */
export function topicNames(): TopicNames {
  const letters = allTopics.filter(({ name }) => name.endsWith('.dlq'));
  return {
    fromOutbox: allTopics.filter((it) => it.schema !== null && !it.direct).map(({ name }) => name),
    directOf: Object.fromEntries(
      allTopics.filter(({ direct }) => direct).map(({ owner }) => [owner, directOf(owner)]),
    ),
    ofConnect: allTopics.filter(({ owner }) => owner === 'connect').map(({ name }) => name),
    deadLettersOf: Object.fromEntries(letters.map(({ name }) => [name.slice(0, -'.dlq'.length), name])),
  };
}

const directOf = (service: string): string[] =>
  allTopics.filter(({ direct, owner }) => direct && owner === service).map(({ name }) => name);
