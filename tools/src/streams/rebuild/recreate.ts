/** Topics made anew on a Kafka that lives: without what groups remember of the old ones. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Topic } from '@ragline/schemas/topics';
import kafkajs, { type Admin } from 'kafkajs';
import { applyTopics } from '../../parts/apply-topics.ts';

const goneWithinMs = 30_000;

/** A group that reads one of the topics; `isAtWork` while it has members. */
export type Reader = { groupId: string; topics: string[]; isAtWork: boolean };

/** Groups that have offsets in one of the topics, or a member that subscribes to it. */
export async function readersOf(admin: Admin, topics: readonly string[]): Promise<Reader[]> {
  const { groups } = await admin.listGroups();
  const ids = groups.filter(({ protocolType }) => protocolType !== 'connect').map(({ groupId }) => groupId);
  const described = ids.length === 0 ? [] : (await admin.describeGroups(ids)).groups;
  const readers: Reader[] = [];
  for (const { groupId, members } of described) {
    const known = await admin.fetchOffsets({ groupId, topics: [...topics] });
    const read = new Set(
      known
        .filter(({ partitions }) => partitions.some(({ offset }) => !offset.startsWith('-')))
        .map(({ topic }) => topic),
    );
    for (const { memberMetadata } of members) {
      for (const topic of subscribed(memberMetadata)) if (topics.includes(topic)) read.add(topic);
    }
    if (read.size > 0) readers.push({ groupId, topics: [...read], isAtWork: members.length > 0 });
  }
  return readers;
}

/**
 * Deletes the topics and makes them as they should be. Their groups must have no members: one that goes on from the
 * offset that it remembers would pass over what is written below it. Throws an Error that names those that have.
 *
 * @param change `begin` is called when nothing stands against it and nothing was deleted yet, `undo` when nothing was deleted then
 */
export async function recreateTopics(
  admin: Admin,
  topics: readonly Topic[],
  change: { begin: () => Promise<void>; undo: () => Promise<void> },
): Promise<void> {
  const names = topics.map(({ name }) => name);
  const atWork = (await readersOf(admin, names)).filter(({ isAtWork }) => isAtWork);
  if (atWork.length > 0) {
    const groups = atWork.map(({ groupId }) => groupId).join(', ');
    throw new Error(
      `These groups are at work on topics that would be made anew: ${groups}. Stop their services first, then run this again`,
    );
  }
  const present = new Set(await admin.listTopics());
  const old = names.filter((name) => present.has(name));
  await change.begin();
  if (old.length > 0) {
    await admin.deleteTopics({ topics: old }).catch(async (error: unknown) => {
      const left = new Set(await admin.listTopics());
      if (old.every((name) => left.has(name))) await change.undo();
      throw error;
    });
  }
  const until = Date.now() + goneWithinMs;
  while ((await admin.listTopics()).some((name) => names.includes(name))) {
    if (Date.now() > until) throw new Error(`Kafka has not deleted ${old.join(', ')}`);
    await pause(100);
  }
  await applyTopics(admin, topics);
  await forgetOffsets(admin, names);
}

/** Kafka forgets a deleted topic's offsets itself; where a broker has not, the group begins at the beginning all the same. */
async function forgetOffsets(admin: Admin, topics: readonly string[]): Promise<void> {
  for (const { groupId, topics: read } of await readersOf(admin, topics)) {
    for (const topic of read) {
      const { topics: found } = await admin.fetchTopicMetadata({ topics: [topic] });
      const partitions = (found[0]?.partitions ?? []).map(({ partitionId }) => ({
        partition: partitionId,
        offset: '0',
      }));
      await admin.setOffsets({ groupId, topic, partitions });
    }
  }
}

function subscribed(memberMetadata: Buffer): string[] {
  if (memberMetadata.length === 0) return [];
  return kafkajs.AssignerProtocol.MemberMetadata.decode(memberMetadata)?.topics ?? [];
}
