/** A value's only copy as text, for a log: it is encrypted and signed, so it may stand there. */

export interface Remains {
  secret: string;
  version: number;
  bytes: Uint8Array;
}

const begin = '-----BEGIN KEYTURN RECORD-----';
const end = '-----END KEYTURN RECORD-----';

export function remainsText({ secret, version, bytes }: Remains): string[] {
  const lines =
    Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,76}/g) ?? [];
  return [begin, `secret: ${secret}`, `version: ${version}`, ...lines, end];
}

/** Every such record of a log, whatever a CI system wrote before each line. */
export function remainsIn(log: string): Remains[] {
  const found: Remains[] = [];
  let lines: string[] | null = null;
  for (const raw of log.split(/\r?\n/)) {
    const line = raw.replace(/^\S*Z /, '').trim();
    if (line.endsWith(begin)) lines = [];
    else if (line === end && lines) {
      const [secret = '', version = '', ...base64] = lines;
      found.push({
        secret: secret.replace(/^secret: /, ''),
        version: Number(version.replace(/^version: /, '')),
        bytes: Buffer.from(base64.join(''), 'base64'),
      });
      lines = null;
    } else lines?.push(line);
  }
  return found;
}
