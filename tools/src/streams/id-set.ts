/**
 * Ids of events, 16 bytes each: a Set of strings would take a hundred, and hold sixteen million at most.
 *
 * What is no UUID is kept as it is, in a Set beside.
 */
export type IdSet = { add(id: string): void; has(id: string): boolean; size(): number };

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export function createIdSet(slotsAtFirst = 1_024): IdSet {
  // Open addressing: an id lies at its own slot or the next free one. All zero is a free slot.
  let slots = slotsAtFirst;
  let table = new BigUint64Array(slots * 2);
  let count = 0;
  const others = new Set<string>();

  function find(high: bigint, low: bigint): number {
    // The last bits are random in every kind of UUID that we meet.
    for (let slot = Number(BigInt.asUintN(32, low)) % slots; ; slot = (slot + 1) % slots) {
      const there = table[slot * 2];
      const thereLow = table[slot * 2 + 1];
      if ((there === 0n && thereLow === 0n) || (there === high && thereLow === low)) return slot;
    }
  }

  function put(high: bigint, low: bigint): void {
    const slot = find(high, low);
    if (table[slot * 2] === high && table[slot * 2 + 1] === low) return;
    table[slot * 2] = high;
    table[slot * 2 + 1] = low;
    count += 1;
  }

  function grow(): void {
    const old = table;
    slots *= 2;
    table = new BigUint64Array(slots * 2);
    count = 0;
    for (let at = 0; at < old.length; at += 2) {
      const high = old[at] ?? 0n;
      const low = old[at + 1] ?? 0n;
      if (high !== 0n || low !== 0n) put(high, low);
    }
  }

  return {
    add(id) {
      const halves = halvesOf(id);
      if (halves === undefined) return void others.add(id);
      if (count * 10 >= slots * 6) grow();
      put(...halves);
    },
    has(id) {
      const halves = halvesOf(id);
      if (halves === undefined) return others.has(id);
      const slot = find(...halves);
      return table[slot * 2] === halves[0] && table[slot * 2 + 1] === halves[1];
    },
    size: () => count + others.size,
  };
}

/** Undefined for what is no UUID in small letters, and for the nil one, which would look like a free slot. */
function halvesOf(id: string): [bigint, bigint] | undefined {
  if (!uuid.test(id)) return undefined;
  const hex = id.replaceAll('-', '');
  const halves: [bigint, bigint] = [BigInt(`0x${hex.slice(0, 16)}`), BigInt(`0x${hex.slice(16)}`)];
  return halves[0] === 0n && halves[1] === 0n ? undefined : halves;
}
