/** Starts a connector's task again that a dead broker or database has made fail: Connect leaves such a task as it is. */
import { setTimeout as sleep } from 'node:timers/promises';
import { restartFailed } from '../../tools/src/parts/apply-connector.ts';

const everyMs = 2_000;

/** Looks every two seconds until it is stopped. */
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
    while (!stopping.signal.aborted) {
      await sleep(everyMs, undefined, { signal: stopping.signal }).catch(() => {});
      if (stopping.signal.aborted) return;
      try {
        if (await restartFailed({ connectUrl })) onRestart();
      } catch {
        // Connect itself is away: its supervisor sees to that, and we look again.
      }
    }
  }
}
