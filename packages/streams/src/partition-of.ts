/** Which partition the producer gives a key: for who looks for the records of one key alone. */
import kafkajs from 'kafkajs';

// The one that the producer uses: Java's, by murmur2 of the key.
const choose = kafkajs.Partitioners.DefaultPartitioner();

/** @param partitions how many the topic has */
export function partitionOf(key: string, partitions: number): number {
  const partitionMetadata = Array.from({ length: partitions }, (_, partitionId) => ({
    ...{ partitionId, leader: 0, partitionErrorCode: 0 },
    ...{ replicas: [], isr: [] },
  }));
  return choose({ topic: '', partitionMetadata, message: { key, value: null } });
}
