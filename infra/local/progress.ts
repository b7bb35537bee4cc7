/** What a start tells about itself while it goes on; shown by display.ts, or printed as JSON lines. */

export type Stage = 'checking' | 'packages' | 'parts' | 'starting' | 'preparing' | 'services' | 'proof';

export type ProgressEvent = {
  stage: Stage;
  /** What it is about, such as a part's name. */
  item: string;
  /** `outside`: an address was set, and that one is used. */
  state: 'begun' | 'done' | 'warning' | 'outside' | 'off';
  /** Said in place of the item once it is done: `14 migrations`. */
  text?: string;
  ms?: number;
};

export type Progress = (event: ProgressEvent) => void;

/** Tells when `run` begins and when it is done; its result may carry the text to show. */
export async function shown<T>(
  onProgress: Progress,
  stage: Stage,
  item: string,
  run: () => Promise<T>,
  textOf: (result: T) => string | undefined = () => undefined,
): Promise<T> {
  const began = performance.now();
  onProgress({ stage, item, state: 'begun' });
  const result = await run();
  const text = textOf(result);
  onProgress({
    stage,
    item,
    state: 'done',
    ms: performance.now() - began,
    ...(text === undefined ? {} : { text }),
  });
  return result;
}
