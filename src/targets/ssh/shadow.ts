/** What a Linux host knows of a local account: its line in shadow(5), failed logins, its own day. */
import { createHmac, randomBytes } from 'node:crypto';

export interface Facts {
  exists: boolean;
  /** Undefined where the account is not a local one. */
  shadow: Shadow | undefined;
  /** Failed logins that faillock counts now. */
  failures: number;
}

export interface Shadow {
  hash: string;
  locked: boolean;
  /** The account itself is past its date (`chage -E`). */
  expired: boolean;
  mustChange: boolean;
}

/** Consecutive failures after which faillock locks, where nobody has configured another number. */
export const lockoutAfter = 3;

/** Answers `account`, `shadow LINE`, `day N`, `failures N`. */
export const factsBody = (username: string): string =>
  [
    `getent passwd ${username} >/dev/null && say account`,
    `say shadow "$(getent shadow ${username})"`,
    'say day $(( $(date +%s) / 86400 ))',
    `say failures "$(faillock --user ${username} 2>/dev/null | grep -c " V$")"`,
  ].join('; ');

export function readFacts(lines: readonly string[]): Facts {
  const after = (word: string): string | undefined =>
    lines.find((line) => line === word || line.startsWith(`${word} `))?.slice(word.length + 1);
  const day = Number(after('day'));
  const fields = (after('shadow') ?? '').split(':');
  const [, hash = '', changed = '', , most = '', , inactive = '', expires = ''] = fields;
  const past = (limit: string): boolean => limit !== '' && day >= Number(limit);
  const overdue = most !== '' && changed !== '' && day > Number(changed) + Number(most);
  const dead = overdue && inactive !== '' && day > Number(changed) + Number(most) + Number(inactive);
  return {
    exists: after('account') !== undefined,
    shadow:
      fields.length < 9
        ? undefined
        : {
            hash,
            locked: /^[!*]/.test(hash),
            expired: past(expires) || dead,
            mustChange: changed === '0' || overdue,
          },
    failures: Number(after('failures')) || 0,
  };
}

export function warningsOf(shadow: Shadow | undefined): string[] {
  const warnings: string[] = [];
  if (shadow?.locked) warnings.push('the account is locked: no password lets anybody in');
  if (shadow?.expired) warnings.push('the account has expired: no password lets anybody in');
  return warnings;
}

/** A keyed print of the hash, to see later whether it is still the same; says nothing about the password. */
export function printOf(hash: string, salt = randomBytes(16).toString('hex')): Record<string, string> {
  return { salt, print: createHmac('sha256', salt).update(hash).digest('hex') };
}

/** `passwd -S` for oneself: whole days until the password may be changed again; 0 where that is now or not known. */
export function daysToWait(status: string, day: number): number {
  const [, , date = '', minimum = ''] = status.trim().split(/\s+/);
  const iso = /^(\d{4})-(\d\d)-(\d\d)$/.exec(date);
  const us = /^(\d\d)\/(\d\d)\/(\d{4})$/.exec(date);
  const [year, month, dom] = iso ? [iso[1], iso[2], iso[3]] : us ? [us[3], us[1], us[2]] : [];
  if (year === undefined || !/^\d+$/.test(minimum)) return 0;
  const changed = Date.UTC(Number(year), Number(month) - 1, Number(dom)) / 86_400_000;
  return Math.max(0, changed + Number(minimum) - day);
}
