/** Names to addresses, by DNS alone and all of them judged. */
import { Resolver } from 'node:dns/promises';
import {
  type AddressRules,
  isAllowed,
  isLocalName,
  type Refusal,
  type Target,
  targetOf,
} from './addresses.ts';

/** Every address of a name, none where there is none; rejects where that cannot be told. */
export type Resolve = (name: string) => Promise<string[]>;

export type CheckedTarget = Target & { addresses: [string, ...string[]] };

/**
 * Asks DNS for both kinds of addresses.
 *
 * Not getaddrinfo: it waits in Node's few threads, where four names whose servers are silent would hold up every
 * other, and it reads the hosts file, which knows names of this network.
 */
export function createResolve(timeoutMs = 2_000): Resolve {
  return async (name) => {
    if (isLocalName(name)) return ['127.0.0.1'];
    const resolver = new Resolver({ timeout: timeoutMs, tries: 2 });
    const answers = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
    const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    if (found.length > 0) return found;
    for (const answer of answers) {
      if (answer.status === 'rejected' && !saysNone(answer.reason)) throw answer.reason;
    }
    return [];
  };
}

/** An answer, and not the lack of one. */
function saysNone(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'ENOTFOUND' || code === 'ENODATA' || code === 'EBADNAME';
}

/**
 * Judges a URL and every address of its name: one that may not be called refuses the whole name, or whoever has the name
 * could let chance decide. `dns_failed`: nobody could be asked, which may be otherwise in a moment.
 */
export async function checkTarget(
  text: string,
  rules: AddressRules,
  resolve: Resolve,
): Promise<CheckedTarget | Refusal | 'dns_failed'> {
  const target = targetOf(text, rules);
  if (typeof target === 'string') return target;
  const found = target.isAddress ? [target.host] : await resolve(target.host).catch(() => undefined);
  if (found === undefined) return 'dns_failed';
  const [first, ...others] = found;
  if (first === undefined) return 'name_unresolved';
  if (![first, ...others].every((address) => isAllowed(address, rules))) return 'address_not_public';
  return { ...target, addresses: [first, ...others] };
}
