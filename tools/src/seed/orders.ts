/** The sample orders of one tenant: which products, and how far each has come. */

export type SampleStatus = 'pending' | 'confirmed' | 'preparing' | 'ready' | 'completed' | 'cancelled';
export type SampleOrder = {
  lines: { sku: string; quantity: number }[];
  promoCode: string | undefined;
  notes: string | undefined;
  status: SampleStatus;
};

const statuses: readonly SampleStatus[] = [
  'pending',
  'confirmed',
  'completed',
  'preparing',
  'ready',
  'cancelled',
  'pending',
  'preparing',
  'completed',
  'confirmed',
];
const notes = ['Ring twice, please', 'No onions', 'Window table', 'Extra napkins'];

/**
 * The same orders every time. Prime steps through the menu, so that they differ without a die, which would make
 * another body for the same idempotency key.
 */
export function sampleOrders(
  skus: readonly string[],
  promoCode: string | undefined,
  count: number,
): SampleOrder[] {
  return Array.from({ length: count }, (_, number) => {
    const lines = new Map<string, number>();
    for (let line = 0; line <= number % 4; line++) {
      const sku = skus[(number * 7 + line * 13) % skus.length];
      if (sku !== undefined) lines.set(sku, 1 + ((number + line) % 3));
    }
    return {
      lines: [...lines].map(([sku, quantity]) => ({ sku, quantity })),
      promoCode: number % 5 === 4 && lines.size > 2 ? promoCode : undefined,
      notes: number % 4 === 1 ? notes[number % notes.length] : undefined,
      status: statuses[number % statuses.length] ?? 'pending',
    };
  });
}

/** The steps from one status to another; empty when there is none, as from completed to ready. */
export function stepsTo(from: SampleStatus, to: SampleStatus): SampleStatus[] {
  const line: readonly SampleStatus[] = ['pending', 'confirmed', 'preparing', 'ready', 'completed'];
  if (to === 'cancelled') return from === 'pending' ? ['cancelled'] : [];
  const [start, end] = [line.indexOf(from), line.indexOf(to)];
  return start < 0 ? [] : line.slice(start + 1, end + 1);
}
