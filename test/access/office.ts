/** A repository with a real PostgreSQL, people with keys of every kind, and the proof of who can open what. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { recipientOf } from '../../src/age/age.ts';
import { Secret } from '../../src/secret.ts';
import { type Desk, takeDesk } from '../commands/desk.ts';
import type { PostgresServer } from '../servers/postgresql.ts';
import { reader, temporaryFolder } from '../state/people.ts';

export interface Member {
  name: string;
  recipient: string;
  /** Identity file, as the age command line takes it too. */
  file: string;
  /** age 1.1 does not know hybrid keys. */
  forAge: boolean;
}

export async function member(
  name: string,
  kind: 'age' | 'hybrid' | 'ed25519' | 'rsa' = 'age',
): Promise<Member> {
  const file = join(temporaryFolder(), name);
  if (kind === 'ed25519' || kind === 'rsa') {
    execFileSync('ssh-keygen', ['-q', '-t', kind, '-N', '', '-C', `${name}@example.org`, '-f', file]);
    return { name, file, forAge: true, recipient: readFileSync(`${file}.pub`, 'utf8').trim() };
  }
  if (kind === 'age') {
    const { identity, recipient } = await reader();
    writeFileSync(file, `${identity.ageIdentities[0]?.reveal()}\n`, { mode: 0o600 });
    return { name, file, forAge: true, recipient };
  }
  const { generateHybridIdentity } = await import('age-encryption');
  const text = await generateHybridIdentity();
  writeFileSync(file, `${text}\n`, { mode: 0o600 });
  return { name, file, forAge: false, recipient: await recipientOf(new Secret(text)) };
}

export const role = (name: string, members: string, secrets: string, more = ''): string =>
  `---\napiVersion: keyturn/v1\nkind: Role\nmetadata: { name: ${name} }\nspec: { members: [${members}], secrets: [${secrets}]${more} }\n`;

export const as = ({ name, recipient }: Member, more = ''): string =>
  `{ name: ${name}, recipient: "${recipient}"${more} }`;

export interface Office {
  desk: Desk;
  /** Rewrites the roles, commits and pushes. */
  declare(roles: string): void;
  /** Runs it and expects 0. */
  run(...args: string[]): Promise<{ out: string; err: string }>;
}

/** One secret for each of `names`; account `u0`, `u1`, … in their order. `spec` is added to each. */
export async function openOffice(
  server: PostgresServer,
  names: readonly string[],
  options: { project?: string; spec?: (name: string) => string } = {},
): Promise<Office> {
  for (const index of names.keys()) {
    await server.query(`drop role if exists u${index}`);
    await server.query(`create role u${index} login`);
  }
  const desk = takeDesk({ ADMIN: server.adminPassword });
  expect(await desk.keyturn(['init', '--name', 'acme'])).toMatchObject({ code: 0 });
  for (const path of ['targets/db.yaml', 'roles/app.yaml', 'secrets/app-db.yaml'])
    desk.write(`manifests/${path}`, '');
  desk.write(
    'keyturn.yaml',
    `${desk.read('keyturn.yaml').replace('maxShare: 0.5', 'maxShare: 1')}${options.project ?? ''}`,
  );
  const secrets = names.map(
    (name, index) => `---
apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: ${name} }
spec: { target: pg, rotator: password, authenticateAs: target, account: { username: u${index} }${options.spec?.(name) ?? ''} }
`,
  );
  desk.write(
    'manifests/all.yaml',
    `apiVersion: keyturn/v1
kind: Target
metadata: { name: pg }
spec:
  type: postgresql
  host: 127.0.0.1
  port: ${server.port}
  tls: { mode: disable }
  credentials: { username: ${server.adminUser}, password: { env: ADMIN } }
${secrets.join('')}`,
  );
  return {
    desk,
    declare(roles) {
      desk.write('manifests/roles.yaml', roles);
      desk.push();
    },
    async run(...args) {
      const said = await desk.keyturn(args);
      expect(said, said.err).toMatchObject({ code: 0 });
      return said;
    },
  };
}

/** `who secret` for everything that `keyturn access` says can be read now. */
export async function said(office: Office, who: readonly Member[]): Promise<string[]> {
  const entries: { secret: string; reader: string; reads: string }[] = JSON.parse(
    (await office.run('--json', 'access')).out,
  );
  const names = new Set(who.map(({ name }) => name));
  return entries
    .filter(({ reader: name, reads }) => reads === 'yes' && names.has(name))
    .map(({ reader: name, secret }) => `${name} ${secret}`)
    .sort();
}

/** The same, by trying every identity on every current file with keyturn. */
export async function keyturnOpens(
  office: Office,
  who: readonly Member[],
  secrets: readonly string[],
): Promise<string[]> {
  const opened: string[] = [];
  for (const { name, file } of who)
    for (const secret of secrets) {
      const { code, out, err } = await office.desk.keyturn(['--identity', file, 'get', secret]);
      if (code === 0 && out.length === 32) opened.push(`${name} ${secret}`);
      else expect(err).toContain('not for you');
    }
  return opened.sort();
}

/** The same with the age command line. */
export function ageOpens(office: Office, who: readonly Member[], secrets: readonly string[]): string[] {
  return who
    .filter(({ forAge }) => forAge)
    .flatMap(({ name, file }) =>
      secrets.flatMap((secret) => {
        const v = office.desk.read(`values/${secret}@current`).trim();
        return ageOpensFile(
          file,
          Buffer.from(execFileSync('cat', [join(office.desk.clone, `values/${secret}/${v}.age`)])),
        )
          ? [`${name} ${secret}`]
          : [];
      }),
    )
    .sort();
}

export const ageOpensFile = (identity: string, bytes: Buffer): boolean =>
  spawnSync('age', ['-d', '-i', identity], { input: bytes }).status === 0;
