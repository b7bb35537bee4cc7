/**
 * Redis, as far as the catalogue needs it. It is only a cache: nothing here throws, and an answer that does not come
 * in time is `away`, whereupon the caller asks Postgres.
 */
import { createBreaker } from '@ragline/runtime/breaker';
import type { Logger } from '@ragline/runtime/logger';
import type { Metrics } from '@ragline/runtime/metrics';
import { createClient } from 'redis';

export type Lookup = { state: 'found'; value: string } | { state: 'absent' } | { state: 'away' };

export type SharedCache = {
  get(key: string): Promise<Lookup>;
  /** Sets whatever was there; false when Redis did not confirm it. */
  put(key: string, value: string, keptMs: number): Promise<boolean>;
  /** Sets only where nothing is; false when something was, or Redis did not confirm it. */
  add(key: string, value: string, keptMs: number): Promise<boolean>;
  /** Puts `version` in the place of `mark`, of nothing or of a lower version; a mark of somebody else stays. */
  raise(key: string, mark: string, version: number, keptMs: number): Promise<boolean>;
  /** Removes the key while it holds `mark`. */
  release(key: string, mark: string): Promise<boolean>;
};

const readWithinMs = 100;
const writeWithinMs = 300;

const raiseScript = `local now = redis.call('GET', KEYS[1])
if not now or now == ARGV[1] or (tonumber(now) and tonumber(now) < tonumber(ARGV[2])) then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
return 1`;
const releaseScript = `if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1`;

/** Connects in the background and for ever: the service starts and works while Redis is away. */
export function connectSharedCache({ url, log, metrics }: { url: string; log: Logger; metrics: Metrics }) {
  const client = createClient({
    url,
    disableOfflineQueue: true,
    commandsQueueMaxLength: 10_000,
    pingInterval: 5_000,
    socket: { connectTimeout: 2_000, reconnectStrategy: (tries) => Math.min(100 * 2 ** tries, 2_000) },
  });
  let isAway = false;
  client.on('error', (error: unknown) => {
    // One line an outage: the client reports every attempt to come back.
    if (!isAway) log.warn('redis is away; the catalogue is read from Postgres', { error });
    isAway = true;
  });
  client.on('ready', () => {
    isAway = false;
    log.info('redis is connected');
  });
  const connecting = client.connect().then(
    () => {},
    () => {},
  );

  const reads = createBreaker({
    name: 'redis',
    call: (key: string) => client.get(key),
    timeoutMs: readWithinMs,
    metrics,
    openMs: 2_000,
  });

  const confirmed = async (command: () => Promise<unknown>): Promise<boolean> => {
    if (!client.isReady) return false;
    const { promise: tooLate, resolve } = Promise.withResolvers<null>();
    const timer = setTimeout(resolve, writeWithinMs, null);
    try {
      return (await Promise.race([command(), tooLate])) !== null;
    } catch {
      return false;
    } finally {
      clearTimeout(timer);
    }
  };

  const cache: SharedCache = {
    async get(key) {
      if (!client.isReady) return { state: 'away' };
      try {
        const value = await reads.fire(key);
        return value === null ? { state: 'absent' } : { state: 'found', value };
      } catch {
        return { state: 'away' };
      }
    },
    put: (key, value, keptMs) => confirmed(() => client.set(key, value, { PX: keptMs })),
    add: (key, value, keptMs) => confirmed(() => client.set(key, value, { PX: keptMs, NX: true })),
    raise: (key, mark, version, keptMs) =>
      confirmed(() =>
        client.eval(raiseScript, { keys: [key], arguments: [mark, String(version), String(keptMs)] }),
      ),
    release: (key, mark) => confirmed(() => client.eval(releaseScript, { keys: [key], arguments: [mark] })),
  };

  return {
    ...cache,
    /** The end of the first attempt, whatever came of it. */
    connected: () => connecting,
    stop() {
      reads.stop();
      client.destroy();
    },
  };
}
