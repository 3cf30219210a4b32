/** Manifests as texts, and what keyturn says of them. */
import { tmpdir } from 'node:os';
import { KeyturnError, ManyErrors } from '../../src/errors.ts';
import { parseManifests } from '../../src/manifests/load.ts';
import type { Desired } from '../../src/manifests/model.ts';

/** Public recipients made for these tests; nobody holds their identities. */
export const ci = 'age1st9mux0383kh89q2f6xdcz5uca74zal97ggte8xzl52rjr8y3f6slhstt2';
export const admin = 'age1zsanh6zre98e7anwh4zuvav2menefk70q8uq46nj4gxeug7dndcq6mke5p';
export const alice = 'age1sfqsemfvcuhmhly9kcsl34j9mgzglen7cyqjc9cwcyg0zqateu3s2y9927';
export const bob = 'age10c22tv4ujqqzcj3p9lk028fesveclv2auud5ttqvvndmf2hl8fksd9lvks';

export function manifest(kind: string, name: string, spec: string): string {
  const body = spec
    .trim()
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n');
  return `apiVersion: keyturn/v1\nkind: ${kind}\nmetadata: { name: ${name} }\nspec:\n${body}\n`;
}

export const project = (more = ''): string =>
  manifest('Project', 'acme', `reconcilers: [${ci}, ${admin}]\n${more}`);

export const mysql = (name = 'prod/mysql', more = ''): string =>
  manifest(
    'Target',
    name,
    `type: mysql\nhost: db.internal\ncredentials: { username: root, password: { env: ROOT } }\n${more}`,
  );

export const postgres = (name = 'prod/pg'): string =>
  manifest(
    'Target',
    name,
    'type: postgresql\nhost: pg.internal\ncredentials: { username: root, password: { env: ROOT } }',
  );

export const secret = (name = 'app', more = '', target = 'prod/mysql'): string =>
  manifest('RotatedSecret', name, `target: ${target}\naccount: { username: ${name} }\n${more}`);

export const join = (...documents: string[]): string => documents.join('---\n');

/** Loads `text` as manifests/a.yaml beside a good keyturn.yaml (or the one given). */
export async function desired(
  text: string,
  options: { project?: string; root?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Desired> {
  const files = [
    { path: 'keyturn.yaml', text: options.project ?? project() },
    { path: 'manifests/a.yaml', text },
  ];
  return parseManifests(files, options.root ?? tmpdir(), { env: options.env ?? {} });
}

/** What was thrown, as `subject: what | hint`; fails where nothing was, or something that users must not see. */
export async function complaints(loading: Promise<unknown>): Promise<string[]> {
  try {
    await loading;
  } catch (error) {
    if (error instanceof ManyErrors) return error.errors.map((one) => `${one.message} | ${one.hint}`);
    if (error instanceof KeyturnError) return [`${error.message} | ${error.hint}`];
    throw error;
  }
  return [];
}

export const wrong = (text: string, options: Parameters<typeof desired>[1] = {}): Promise<string[]> =>
  complaints(desired(text, options));

/** A target whose credentials are a rotated secret. */
export const own = (name: string, host: string, uses: string) =>
  manifest(
    'Target',
    name,
    `type: mysql\nhost: ${host}\ncredentials: { username: root, password: { secret: ${uses} } }`,
  );

/** The same without the place, which has its own tests. */
export async function said(text: string, options: Parameters<typeof wrong>[1] = {}): Promise<string[]> {
  return (await wrong(text, options)).map((line) => line.replace(/^\S+:\d+:\d+: /, ''));
}
