/** What turns texts into vectors: one shape for the model in this process and for a service elsewhere. */

export type EmbeddingModel = {
  /** Names the table of its vectors, so another version or size of a model has another id. */
  id: string;
  version: string;
  dimensions: number;
  /** Tokens of one text at most, special ones included. */
  maxTokens: number;
};

export type Embedder = {
  model: EmbeddingModel;
  /**
   * One vector of length 1 for each text, in their order. Nothing is cut: throws TextTooLongError for a text of more
   * than `maxTokens`, UnavailableError when the model cannot be asked now, and the signal's reason when it is aborted.
   */
  embed(texts: readonly string[], signal?: AbortSignal): Promise<Float32Array[]>;
  /** By the model's own tokenizer where it is at hand, special tokens included; otherwise never too low. */
  countTokens(text: string): number;
  stop(): Promise<void>;
};

/** A caller's mistake: chunks are made to fit, and queries are cut on purpose. */
export class TextTooLongError extends Error {
  override readonly name = 'TextTooLongError';
  readonly code = 'text_too_long';

  constructor(tokens: number, { id, maxTokens }: EmbeddingModel) {
    super(`A text has ${tokens} tokens, and ${id} reads ${maxTokens}`);
  }
}
