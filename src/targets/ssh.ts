import { createHash } from 'node:crypto';
import type { ChosenDriver, Target } from './driver.ts';
import { alphabet, isPortable } from './portable.ts';
import { optionsOf } from './ssh/connect.ts';
import { keyRotator } from './ssh/key.ts';
import { drawKey, handleOf, publicKeyOf } from './ssh/keys.ts';
import { passwordRotator } from './ssh/password.ts';
import { windowsRotator } from './ssh/windows.ts';

/** crypt(3) takes 511 bytes, older pam_unix 199, a chpasswd line stays below 512. */
const maxLength = 128;

const allows = (value: string): boolean => isPortable(value, maxLength);

/** The pinned keys, and where a jump host is used, that host and its keys too. */
function pins(target: Target): string {
  const { hostKeys, jump } = optionsOf(target);
  const through = jump && [jump.host, jump.port, [...jump.hostKeys].sort()];
  const all = JSON.stringify([[...hostKeys].sort(), through ?? null]);
  return `hostkeys sha256:${createHash('sha256').update(all).digest('hex')}`;
}

/** Accounts of hosts that speak SSH: passwords of Linux and Windows, keys of Linux (protocol §3.7). */
export const ssh: ChosenDriver = {
  machine: 'chosen',
  type: 'ssh',
  constraints: () => ({ alphabet, maxLength }),
  overlap: (_, keyType) => (keyType === undefined ? 'none' : 'dual'),
  binding: (target, account) => ({
    type: 'ssh',
    host: target.host,
    port: target.port,
    account: account.usernames.join('|'),
    tls: pins(target),
  }),
  generate: (keyType, mark) => drawKey(keyType, handleOf(mark)),
  async describe(value, mark) {
    const key = await publicKeyOf(value);
    return key === undefined ? {} : { publicKey: `${key.type} ${key.blob} ${handleOf(mark)}` };
  },
  rotator(job) {
    if (job.keyType !== undefined) return keyRotator(job);
    return optionsOf(job.target).os === 'windows'
      ? windowsRotator(job, allows)
      : passwordRotator(job, allows);
  },
};
