import { X509Certificate } from 'node:crypto';
import { readFile, realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute, resolve } from 'node:path';
import { isBelow } from './find.ts';

/** A certificate bundle of a whole distribution is a quarter of this. */
const largest = 1024 * 1024;

/**
 * Whether `path`, relative to `root`, stays below it: links are followed, and of a path that does not exist yet
 * the part that does counts.
 */
export async function staysInside(root: string, path: string): Promise<boolean> {
  const real = await realpath(root).catch(() => resolve(root));
  const wanted = resolve(real, path);
  if (!isBelow(real, wanted) && !isAbsolute(path)) return false;
  for (let existing = wanted; ; existing = dirname(existing)) {
    const found = await realpath(existing).catch(() => undefined);
    if (found !== undefined) return isBelow(real, found);
    if (existing === dirname(existing)) return false;
  }
}

export type Authority = { pem: string } | { what: string; hint: string };

/** The PEM certificates at `path` below `root`, or what is wrong with them. Never quotes the file. */
export async function readAuthority(root: string, path: string): Promise<Authority> {
  if (isAbsolute(path) || path.includes('\0') || !(await staysInside(root, path))) {
    return { what: 'spec.tls.ca leaves the repository', hint: 'copy the certificate into the repository' };
  }
  const file = resolve(root, path);
  const found = await stat(file).catch(() => undefined);
  if (found === undefined || !found.isFile()) {
    return {
      what: 'spec.tls.ca names a file that does not exist',
      hint: 'the path starts at the top of the repository',
    };
  }
  const hint =
    'it must hold the PEM certificates of the authority, -----BEGIN CERTIFICATE-----, and nothing secret';
  const pem = found.size > largest ? '' : await readFile(file, 'utf8').catch(() => '');
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem))
    return { what: 'spec.tls.ca holds a private key', hint };
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  return blocks.length > 0 && blocks.every(isCertificate)
    ? { pem }
    : { what: 'spec.tls.ca is not a PEM certificate', hint };
}

function isCertificate(block: string): boolean {
  try {
    return new X509Certificate(block).raw.length > 0;
  } catch {
    return false;
  }
}
