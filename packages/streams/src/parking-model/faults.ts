/** What may be broken on purpose, and what it means. Each must be found by the checker. */
export const faults = {
  'no-load': 'a new owner starts with an empty parked set',
  'load-before-raise': 'the parked set is read before the lease is raised',
  'no-fence': 'transactions do not look at the lease at all',
  'fence-unlocked': 'the lease is read without a lock, so a transaction may outlive it',
  'no-idle-timeout':
    'the server keeps the open transaction of a dead or frozen client, and its share of the lease',
  'fenced-is-final': 'an owner that is fenced stops for good, even when Kafka still calls it the owner',
  'commit-before-park': 'a failed record counts as done before its parking is committed',
  'commit-highest': 'the highest finished offset is committed instead of the low-water mark',
  'gone-is-done': 'an append that finds no line counts as kept',
  'append-unlocked': 'a follower is inserted without locking (or re-checking) its line',
  'append-past-full': 'behind a follower that found no room a later one is kept',
  'park-asks-inbox-first': 'parking looks for the inbox row before it looks for the line',
  early: 'the driver does not wait for not_before',
  'drain-unordered': 'the driver takes any record of the line instead of the first',
  'no-head-lock': 'the driver handles what it read, without locking the record and looking again',
  'unpark-stale': 'emptiness is judged before the line is locked (one DELETE … WHERE NOT EXISTS)',
  'fail-unguarded': 'a failure is booked on the line whatever has become of the record that failed',
  'forget-late': 'the owner forgets a key without asking whether it was parked again meanwhile',
  'mark-before-produce': 'a dead letter is marked as announced before it is produced',
  'discard-no-inbox': 'a discard removes the row and leaves the inbox id open',
  'edit-no-inbox': 'an edit leaves the old inbox id open',
  'edit-replay-elsewhere': 'an edited head leaves its line and is replayed beside it',
  'release-same-id': 'a released head keeps the inbox id under which Kafka may deliver it again',
  'release-silent': 'a head released from the ladder is not announced as a dead letter',
} as const;

export type Fault = keyof typeof faults;

export const faultNames = Object.keys(faults).filter((name): name is Fault => name in faults);
