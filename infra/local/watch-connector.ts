/** Starts a connector's task again that a dead broker or database has made fail: Connect leaves such a task as it is. */
import { setTimeout as sleep } from 'node:timers/promises';
import { restartFailed } from '../../tools/src/parts/apply-connector.ts';

const everyMs = 2_000;
const everyMsMax = 30_000;

/** The wait after `failures` restarts in a row that did not help: 2 s, doubling, half a minute at most. */
export const pauseMs = (failures: number): number =>
  Math.min(everyMsMax, everyMs * 2 ** Math.min(failures, 10));

/** Looks every two seconds until it is stopped, more seldom while restarting does not help; tells of the first time. */
export function watchConnector(connectUrl: string, onRestart: () => void): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const watching = watch();
  return {
    async stop() {
      stopping.abort();
      await watching;
    },
  };

  async function watch(): Promise<void> {
    for (let failures = 0; !stopping.signal.aborted; ) {
      await sleep(pauseMs(failures), undefined, { signal: stopping.signal }).catch(() => {});
      if (stopping.signal.aborted) return;
      try {
        const restarted = await restartFailed({ connectUrl });
        if (restarted && failures === 0) onRestart();
        failures = restarted ? failures + 1 : 0;
      } catch {
        // Connect itself is away: its supervisor sees to that, and we look again.
      }
    }
  }
}
