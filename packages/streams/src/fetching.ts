/** Whether a partition wants more records: not while it is paused, too much is open, or a line has no room. */

/** line_full: where records wait aside there is no room for another one. */
export type NotFetching = 'unavailable' | 'full' | 'line_full';

const openMax = 4_000;
const openBytesMax = 16 * 1024 * 1024;

export type Fetching = ReturnType<typeof createFetching>;

/** @param onFetching called when it changes */
export function createFetching(onFetching: (wanted: boolean, reason: NotFetching | undefined) => void) {
  let fetching = true;
  let open = 0;
  let openBytes = 0;
  let isPaused = false;
  // Records that wait for room in their line.
  let roomless = 0;
  let hasEnded = false;

  function show(): void {
    if (hasEnded) return;
    // Half full before it goes on: else it would flip with every record.
    const isFull = fetching
      ? open >= openMax || openBytes >= openBytesMax
      : open > openMax / 2 || openBytes > openBytesMax / 2;
    const wanted = !isPaused && !isFull && roomless === 0;
    if (wanted === fetching) return;
    fetching = wanted;
    onFetching(wanted, wanted ? undefined : roomless > 0 ? 'line_full' : isFull ? 'full' : 'unavailable');
  }

  return {
    show,
    /** Records of that size have been begun, or finished when negative; tells nobody before `show`. */
    count(records: number, bytes: number): void {
      open += records;
      openBytes += bytes;
    },
    open: (): number => open,
    pause(paused: boolean): void {
      isPaused = paused;
      show();
    },
    /** A record waits for room in its line (1), or not any more (-1). */
    room(change: 1 | -1): void {
      roomless += change;
      show();
    },
    end(): void {
      hasEnded = true;
    },
  };
}
