/** A topic of a measurement's own, that Connect may write to, so that no service works on made-up orders. */
import { randomUUID } from 'node:crypto';
import { type Topic, topics } from '@ragline/schemas/topics';
import kafkajs, { type Admin } from 'kafkajs';
import { applyTopics } from '../../parts/apply-topics.ts';

const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs;

const prefix = 'bench-';

/** Like orders.v1 in all but its name. */
export async function makeBenchTopic(admin: Admin): Promise<Topic> {
  const topic: Topic = { ...topics.orders, name: `${prefix}${randomUUID()}.v1` };
  await applyTopics(admin, [topic]);
  await allowConnect(admin);
  return topic;
}

/** Lets the user `connect` write to every topic of a measurement; where Kafka has no ACLs, everybody may. */
async function allowConnect(admin: Admin): Promise<void> {
  const grant = (operation: (typeof AclOperationTypes)[keyof typeof AclOperationTypes]) => ({
    principal: 'User:connect',
    host: '*',
    operation,
    permissionType: AclPermissionTypes.ALLOW,
    resourceType: AclResourceTypes.TOPIC,
    resourceName: prefix,
    resourcePatternType: ResourcePatternTypes.PREFIXED,
  });
  try {
    await admin.createAcls({ acl: [grant(AclOperationTypes.WRITE), grant(AclOperationTypes.DESCRIBE)] });
  } catch (error) {
    if (!(error instanceof Error && 'type' in error && error.type === 'SECURITY_DISABLED')) throw error;
  }
}
