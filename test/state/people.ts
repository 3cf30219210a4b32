/** Identities, records and the age command line for the tests of `state/`. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { generateIdentity } from '../../src/age/age.ts';
import { KeyturnError } from '../../src/errors.ts';
import { generateBundle, type Identity, parseIdentity } from '../../src/state/identity.ts';
import type { SecretRecord } from '../../src/state/model.ts';
import type { Signer } from '../../src/state/signing.ts';

export interface Person {
  identity: Identity;
  signer: Signer;
  recipient: string;
  trustLine: string;
  /** The bundle in clear, with the people it was told to trust. */
  text: string;
}

export async function person(kid: string, trusts: { trustLine: string }[] = []): Promise<Person> {
  const { bundle, recipient, trustLine } = await generateBundle(kid);
  const text = `${bundle.reveal()}${trusts.map((other) => `${other.trustLine}\n`).join('')}`;
  const identity = await parseIdentity(text, kid);
  if (!identity.signer) throw new Error('a bundle without a signer');
  return { identity, signer: identity.signer, recipient, trustLine, text };
}

/** A plain age identity, with trust lines only where given. */
export async function reader(
  trusts: { trustLine: string }[] = [],
): Promise<{ identity: Identity; recipient: string }> {
  const secret = generateIdentity();
  const lines = [secret.reveal(), ...trusts.map((other) => other.trustLine)];
  const identity = await parseIdentity(lines.join('\n'), 'reader');
  return { identity, recipient: identity.recipients[0] ?? '' };
}

/** The KeyturnError that `action` ends in; anything else fails the test. */
export async function refusal(action: () => unknown): Promise<KeyturnError> {
  try {
    await action();
  } catch (error) {
    if (error instanceof KeyturnError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

/** Everything of an error that a user may see. */
export const words = (error: KeyturnError): string => `${error.message} | ${error.hint ?? ''}`;

const hasAge = spawnSync('age', ['--version']).status === 0;
if (!hasAge && process.env.CI) throw new Error('age is not installed, and in CI it must be');
if (!hasAge)
  process.stderr.write('\n!!! SKIPPED: age is not installed, interoperability is NOT tested !!!\n\n');
export const withoutAge = !hasAge;

const scratch: string[] = [];
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-state-'));
  scratch.push(folder);
  return folder;
}
afterAll(() => {
  for (const folder of scratch.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** `age -d` with a file that holds the identity's age keys. */
export function ageDecrypt(bytes: Uint8Array, identity: Identity): Buffer {
  const file = join(temporaryFolder(), 'identity');
  writeFileSync(file, `${identity.ageIdentities.map((key) => key.reveal()).join('\n')}\n`, { mode: 0o600 });
  return execFileSync('age', ['-d', '-i', file], { input: bytes });
}

export function ageEncrypt(plain: Uint8Array, recipients: string[]): Buffer {
  return execFileSync(
    'age',
    recipients.flatMap((recipient) => ['-r', recipient]),
    { input: plain },
  );
}

export const at = new Date('2026-11-01T03:00:00.000Z');

export function record(uid: string, changes: Partial<SecretRecord> = {}): SecretRecord {
  return {
    uid,
    name: `prod/${uid}`,
    rotator: 'mysql/password',
    target: 'prod/mysql',
    current: 1,
    specDigest: `sha256:${'ab'.repeat(32)}`,
    versions: {
      1: {
        stage: 'current',
        createdAt: at.toISOString(),
        promotedAt: at.toISOString(),
        verified: { at: at.toISOString(), how: 'login' },
        readers: ['fp:0011223344556677'],
        file: `sha256:${'cd'.repeat(32)}`,
        username: 'app',
      },
    },
    pending: null,
    binding: { type: 'mysql', host: 'db.internal', port: 3306, account: 'app@%', tls: 'system' },
    sched: {
      failures: 0,
      nextAttemptAt: null,
      lastError: null,
      rotateToken: null,
      probeAfter: null,
      notified: [],
    },
    health: 'ok',
    ...changes,
  };
}
