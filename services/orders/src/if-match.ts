/** Versions as ETags (RFC 9110): `"3"`. */
import { problem } from '@ragline/web/problems';

export function etagOf(version: number): string {
  return `"${version}"`;
}

/**
 * Throws Problem version_mismatch when the header names other versions than this one; without a header all is well.
 *
 * A weak tag never matches here, as the RFC has it, and neither does what is no tag at all.
 */
export function requireVersion(ifMatch: string | undefined, version: number): void {
  if (ifMatch === undefined || ifMatch.trim() === '*') return;
  const tags = ifMatch.split(',').map((tag) => tag.trim());
  if (tags.includes(etagOf(version))) return;
  throw problem('version_mismatch', `The present version is ${version}.`, {
    headers: { etag: etagOf(version) },
  });
}
