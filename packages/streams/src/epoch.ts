/** The epoch of a topic: changes when the topic was made anew, so that old positions are recognised. */
import { createHash } from 'node:crypto';

/**
 * First 4 bytes of sha256(cluster id, topic id, number of partitions), as an unsigned integer.
 *
 * No part of it belongs to an instance: a cursor made by one is good at every other.
 */
export function epochOf(topic: { clusterId: string; topicId: string; partitions: number }): number {
  const identity = `${topic.clusterId}\n${topic.topicId}\n${topic.partitions}`;
  return createHash('sha256').update(identity).digest().readUInt32BE(0);
}
