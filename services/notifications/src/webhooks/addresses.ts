/** Which addresses webhooks may be sent to: nothing that only this network can reach. Pure; the name is resolved elsewhere. */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Why an address is not called; also the `reason` of the problem `url_refused`. */
export type Refusal =
  | 'malformed'
  | 'scheme_not_allowed'
  | 'credentials_in_url'
  | 'fragment_in_url'
  | 'port_not_allowed'
  | 'address_not_public'
  | 'name_unresolved';

export type AddressRules = {
  /** For tests and demonstrations: plain http, and this machine's own addresses on any port. */
  allowLoopback: boolean;
};

/** A URL that may be called as far as it alone can tell. `host` is a name or an address without brackets. */
export type Target = { url: URL; host: string; isAddress: boolean };

const httpsPort = 443;
// Below are mail, shells, files and databases of old; nobody takes webhooks there.
const freePortMin = 1_024;
// All that was ever given to anyone; outside are local, translated and compatible forms, whatever they are called.
const globalUnicast = ipaddr.parseCIDR('2000::/3');

/** Public by its range, but a virtual machine's way to its cloud (Azure). */
const cloudAddress = '168.63.129.16';

/**
 * Judges a URL before anything is resolved. Numbers in odd notations (octal, hexadecimal, one decimal) are what
 * WHATWG's parser makes of them, which is also what would be connected to.
 */
export function targetOf(text: string, rules: AddressRules): Target | Refusal {
  if (!URL.canParse(text) || hasHidden(text)) return 'malformed';
  const url = new URL(text);
  const host = hostOf(url);
  const isLocal = rules.allowLoopback && isLoopbackHost(host);
  if (url.protocol !== 'https:' && !(isLocal && url.protocol === 'http:')) return 'scheme_not_allowed';
  if (host === '') return 'malformed';
  if (url.username !== '' || url.password !== '') return 'credentials_in_url';
  if (url.hash !== '') return 'fragment_in_url';
  const port = url.port === '' ? httpsPort : Number(url.port);
  if (!isLocal && port !== httpsPort && port < freePortMin) return 'port_not_allowed';
  const isAddress = isIP(host) !== 0;
  if (isAddress && !isAllowed(host, rules)) return 'address_not_public';
  // Whatever a resolver says of it, it is this machine (RFC 6761).
  if (!isAddress && isLocalName(host) && !rules.allowLoopback) return 'address_not_public';
  return { url, host, isAddress };
}

/** Whether an address, as a resolver gives it, may be connected to. */
export function isAllowed(address: string, { allowLoopback }: AddressRules): boolean {
  // A zone (fe80::1%eth0) names an interface of this machine.
  if (!ipaddr.isValid(address) || address.includes('%')) return false;
  const parsed = ipaddr.parse(address);
  const range = parsed.range();
  if (range === 'loopback') return allowLoopback;
  if (range !== 'unicast' || parsed.toString() === cloudAddress) return false;
  return parsed instanceof ipaddr.IPv4 || parsed.match(globalUnicast);
}

export function isLocalName(name: string): boolean {
  return name === 'localhost' || name.endsWith('.localhost');
}

/** Whether a URL is about this machine, by what it says. */
export function namesLoopback(text: string): boolean {
  return URL.canParse(text) && isLoopbackHost(hostOf(new URL(text)));
}

/** Blanks and control characters, which the parser drops: what is shown to people is what is called. */
function hasHidden(text: string): boolean {
  return /[\0-\x20\x7f]/.test(text);
}

function isLoopbackHost(host: string): boolean {
  if (isIP(host) === 0) return isLocalName(host);
  return ipaddr.parse(host).range() === 'loopback';
}

/** Without brackets, and without the dot at the end that means the same name. */
function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
}
