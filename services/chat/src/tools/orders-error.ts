/** Why a call in the customer's name did not do what was asked. */
export class OrdersError extends Error {
  override readonly name = 'OrdersError';
  /** The problem's code, or `orders_unavailable` when there was no answer to be had. */
  readonly code: string;
  /** Of the answer; 0 without one. */
  readonly status: number;
  /**
   * The same call again can help, and what became of this one is not known. Everything else is an answer: nothing was
   * placed.
   */
  readonly retriable: boolean;
  /** The problem's further members, such as the new `quote` of a price_changed. */
  readonly members: Record<string, unknown>;

  constructor(
    code: string,
    message: string,
    {
      status = 0,
      retriable = false,
      members = {},
      cause,
    }: { status?: number; retriable?: boolean; members?: Record<string, unknown>; cause?: unknown } = {},
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.status = status;
    this.retriable = retriable;
    this.members = members;
  }
}
