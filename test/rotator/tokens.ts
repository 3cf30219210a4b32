import { createHash, type KeyObject } from 'node:crypto';
import type { JSONWebKeySet } from 'jose';
import {
  generateSeed,
  jwksOf,
  privateKey,
  publicKey,
  type Signer,
  signerOf,
} from '../../src/state/signing.ts';

/** A reconciler as a rotator sees it: it signs, and its public key is known. */
export interface Reconciler {
  signer: Signer;
  key: KeyObject;
  publicBase64: string;
  keys: JSONWebKeySet;
}

export function makeReconciler(kid = 'ci-1'): Reconciler {
  const { seed, publicKey: shown } = generateSeed();
  const key = privateKey(seed);
  const open = publicKey(shown);
  if (key === null || open === null) throw new Error('no key');
  return { signer: signerOf(kid, key), key, publicBase64: shown, keys: jwksOf(new Map([[kid, open]])) };
}

export const url = 'https://rotator.example/rotate';
export const now = new Date('2026-03-01T12:00:00Z');
export const seconds = (date: Date): number => Math.floor(date.getTime() / 1000);

export const requestBody = (more: Record<string, unknown> = {}): Record<string, unknown> => ({
  payload: '{"user":"reporting"}',
  operation: 'rotate',
  item_name: '/prod/reporting',
  request_id: '01K.1',
  attempt: 1,
  proposed_password: 'Proposed-1-abcdefgh',
  ...more,
});

export const bytesOf = (body: unknown): Buffer => Buffer.from(JSON.stringify(body));

/** What keyturn puts into a token for this body. */
export const claimsFor = (
  body: Buffer,
  more: Record<string, string | number> = {},
): Record<string, string | number> => ({
  iss: 'acme-secrets',
  sub: '/prod/reporting',
  item_name: '/prod/reporting',
  access_id: 'acme-secrets',
  aud: url,
  iat: seconds(now),
  exp: seconds(now) + 120,
  jti: '01K.1',
  htm: 'POST',
  htu: url,
  body_sha256: createHash('sha256').update(body).digest('base64url'),
  ...more,
});

const part = (json: unknown): string => Buffer.from(JSON.stringify(json)).toString('base64url');

/** A token with any header, signed by any function of its text. */
export function forge(
  header: Record<string, unknown>,
  claims: Record<string, unknown>,
  sign: (text: string) => Buffer,
): string {
  const text = `${part(header)}.${part(claims)}`;
  return `${text}.${sign(text).toString('base64url')}`;
}
