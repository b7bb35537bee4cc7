/** What a consumer group's member is given. */
import type { Health } from '@ragline/runtime/health';
import type { Logger } from '@ragline/runtime/logger';
import type { Metrics } from '@ragline/runtime/metrics';
import type { SchemaName } from '@ragline/schemas/types.generated';
import type { Kafka } from 'kafkajs';
import type { Finished } from './outcomes.ts';
import type { Producer } from './producer.ts';
import type { RetryOptions } from './run-parts.ts';
import type { Handling } from './work.ts';

export type ConsumerOptions = Handling &
  RetryOptions & {
    kafka: Kafka;
    /** Not a setting: under another name the group has no offsets and reads everything again. */
    groupId: string;
    /** With a schema, records of any other become dead letters (`schema_unexpected`). */
    topics: readonly { name: string; schema: SchemaName | null }[];
    /**
     * by-key: records of one key one after another, those behind one that failed too; one without a key is a dead
     * letter. none: all in parallel; what failed waits in `<group>.retry.<delay>`, which must be there.
     */
    order: 'by-key' | 'none';
    /** Writes dead letters, and what is to be tried again. */
    producer: Producer;
    log: Logger;
    metrics: Metrics;
    health?: Health;
    /** Handlers, or batches, at a time over all partitions. */
    concurrency?: number;
    /** Records a batch, at most. */
    batchMax?: number;
    /**
     * How long a batch may hold up the next fetch, 1,000 ms when not given. Where a handler takes that long anyway,
     * 0: else a record waits for those of other keys that were fetched before it.
     */
    holdFetchMs?: number;
    /** How long a stop waits for handlers that have begun, before it aborts them. */
    stopWithinMs?: number;
    /** How long the first join is tried before starting throws; for ever when not given. A topic that is gone lets none succeed. */
    joinWithinMs?: number;
    onFinished?: (finished: Finished) => void;
  };
