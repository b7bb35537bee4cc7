/** Replays while the service that sends them is killed, again and again: what the group was asked to do. */
import assert from 'node:assert/strict';
import { anOrderEvent } from '@ragline/schemas/samples';
import { PermanentError } from '@ragline/streams/errors';
import { eventually } from '../support/eventually.ts';
import { openLettersService } from './letters-service.ts';
import { openGroup, stepOf } from './own-group.ts';

export type CrashReport = {
  letters: number;
  kills: number;
  resolved: number;
  inbox: number;
  /** Effects beyond one a letter. */
  doubled: number;
  /** The most calls that one letter's handler had, the first one included. */
  calls_max: number;
  /** Letters and records that are neither handled nor waiting for a person. */
  stuck: number;
};

/** Each round asks for a share of the letters one by one, and kills the service while it is at it. */
export async function replayThroughKills(
  letterCount: number,
  order: 'by-key' | 'none',
  killAfterMs: readonly number[],
): Promise<CrashReport> {
  let isMended = false;
  const service = await openLettersService();
  const group = await openGroup({
    order,
    judge() {
      if (!isMended) throw new PermanentError('test_broken', 'Broken on purpose');
    },
  });
  try {
    const events = Array.from({ length: letterCount }, () => anOrderEvent());
    await group.send(events);
    await eventually(
      async () => assert.equal((await service.states(group.groupId)).waiting, letterCount, 'letters kept'),
      { withinMs: 60_000, everyMs: 250 },
    );
    isMended = true;
    const letters = await service.letters(group.groupId);
    const share = Math.ceil(letterCount / killAfterMs.length);
    for (const [round, ms] of killAfterMs.entries()) {
      const ours = letters.slice(round * share, (round + 1) * share);
      const asked = ours.map(({ id }) => service.attempt('POST', `/v1/dead-letters/${id}/replay`, {}));
      // Where the kill falls is left to chance: before a claim, between claim and send, behind it.
      await new Promise((resolve) => setTimeout(resolve, ms));
      await service.kill();
      await Promise.all(asked);
      await service.start();
    }
    // What was claimed is sent by itself; what was refused by a dying service waits, and is asked for again.
    await eventually(
      async () => assert.equal((await service.states(group.groupId)).replaying ?? 0, 0, 'still replaying'),
      { withinMs: 60_000, everyMs: 250 },
    );
    for (const { id, state } of await service.letters(group.groupId)) {
      if (state === 'waiting') await service.ask('POST', `/v1/dead-letters/${id}/replay`, {}, 200);
    }
    await eventually(
      async () => assert.deepEqual(await service.states(group.groupId), { resolved: letterCount }),
      { withinMs: 60_000, everyMs: 250 },
    );
    const effects = [...group.effects.values()].flat().length;
    return {
      letters: letterCount,
      kills: killAfterMs.length,
      resolved: letterCount,
      inbox: (await group.inbox()).handled ?? 0,
      doubled: effects - letterCount,
      calls_max: Math.max(...events.map((event) => group.calls.get(stepOf(event)) ?? 0)),
      stuck: await group.parked(),
    };
  } finally {
    await group.close();
    await service.close();
  }
}
