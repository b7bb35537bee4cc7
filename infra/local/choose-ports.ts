/** Ports for all parts and services of one start. */
import type { PortName } from './layout.mjs';
import { usualPorts } from './layout.mjs';
import { choosePort, type Ports } from './ports.ts';
import type { Progress } from './progress.ts';

/** `free`: none of the usual ones is tried, so that stacks of tests do not meet. Says which usual ones were taken. */
export async function choosePorts(
  wanted: Partial<Ports> | 'free',
  used: Set<number>,
  onProgress: Progress,
  /** Ports of parts that are not started are chosen without a word. */
  isNeeded: (name: PortName) => boolean = () => true,
): Promise<Ports> {
  const choose = async (name: PortName): Promise<number> => {
    const usual = wanted === 'free' ? undefined : (wanted[name] ?? usualPorts[name]);
    const { port, taken } = await choosePort(usual, used);
    if (taken !== undefined && isNeeded(name)) {
      const text = `port ${taken} is taken → ${name.replace('_', ' ')} uses ${port}`;
      onProgress({ stage: 'checking', item: `port ${taken}`, state: 'warning', text });
    }
    return port;
  };
  return {
    gateway: await choose('gateway'),
    postgres: await choose('postgres'),
    valkey: await choose('valkey'),
    kafka: await choose('kafka'),
    kafka_controller: await choose('kafka_controller'),
    registry: await choose('registry'),
    connect: await choose('connect'),
    connect_metrics: await choose('connect_metrics'),
  };
}
