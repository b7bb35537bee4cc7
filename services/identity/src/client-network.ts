/** By what a client's address is counted. */
import { isIPv4, isIPv6 } from 'node:net';

/**
 * An IPv4 address as it is, an IPv6 address as its /64: a home has one of those and 2^64 addresses in it.
 * `unknown` for anything else, since the text comes from a header.
 */
export function networkOf(address: string | undefined): string {
  const text = address?.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '') ?? '';
  if (isIPv4(text)) return text;
  if (!isIPv6(text)) return 'unknown';
  const [head = '', tail] = (text.split('%')[0] ?? '').toLowerCase().split('::');
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const after = tail === '' ? 0 : tail.split(':').length + (tail.includes('.') ? 1 : 0);
    while (groups.length < 8 - after) groups.push('0');
    if (tail !== '') groups.push(...tail.split(':'));
  }
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}
