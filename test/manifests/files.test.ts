import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join as path } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadManifests } from '../../src/manifests/load.ts';
import { complaints, join, manifest, mysql, project, secret, wrong } from './fixtures.ts';

let scratch: string;
let root: string;
const write = async (name: string, text: string | Uint8Array): Promise<void> => {
  await mkdir(dirname(path(root, name)), { recursive: true });
  await writeFile(path(root, name), text);
};
beforeEach(async () => {
  scratch = await realpath(await mkdtemp(path(tmpdir(), 'keyturn-manifests-')));
  root = path(scratch, 'repository');
  await write('keyturn.yaml', project());
});
afterEach(() => rm(scratch, { recursive: true, force: true }));
const load = () => loadManifests(root, { env: {} });

describe('a repository', () => {
  it('is keyturn.yaml and every yaml file below manifests/', async () => {
    await write('manifests/targets/db.yml', mysql());
    await write('manifests/secrets/deep/er/a.yaml', secret('a'));
    await write('manifests/notes.txt', 'not: [yaml');
    await write('elsewhere/b.yaml', 'not: [yaml');
    const { secrets, targets } = await load();
    expect([...secrets.keys()]).toEqual(['a']);
    expect(secrets.get('a')?.source).toEqual({
      file: 'manifests/secrets/deep/er/a.yaml',
      line: 1,
      column: 1,
    });
    expect([...targets.keys()]).toEqual(['prod/mysql']);
  });

  it('without keyturn.yaml is none', async () => {
    await rm(path(root, 'keyturn.yaml'));
    expect(await complaints(load())).toEqual([
      'keyturn.yaml: not found here | run keyturn init, or change to the repository',
    ]);
  });

  it('declares one project, in keyturn.yaml', async () => {
    await write('keyturn.yaml', mysql());
    expect(await complaints(load())).toEqual([
      'keyturn.yaml:1:1: keyturn.yaml: declares no Project | run keyturn init',
    ]);
    await write('keyturn.yaml', join(project(), project()));
    expect(await complaints(load())).toEqual([
      expect.stringContaining('acme: there is a second Project | the first is at keyturn.yaml:3'),
    ]);
    await write('keyturn.yaml', project());
    await write('manifests/p.yaml', project());
    expect(await complaints(load())).toEqual([
      'manifests/p.yaml:2:1: acme: a Project stands in keyturn.yaml only | move it there, or remove it',
    ]);
  });

  it('for a newer keyturn says so once', async () => {
    await write('keyturn.yaml', project().replace('keyturn/v1', 'keyturn/v2'));
    await write('manifests/a.yaml', mysql().replace('keyturn/v1', 'keyturn/v2'));
    expect(await complaints(load())).toEqual([
      'keyturn.yaml:1:1: acme: is written for a newer keyturn | this one reads keyturn/v1: upgrade it with npm install keyturn@latest',
    ]);
  });

  it('does not follow links out of itself, or to folders', async () => {
    await writeFile(path(scratch, 'outside.yaml'), mysql());
    await mkdir(path(scratch, 'folder'));
    await mkdir(path(root, 'manifests'));
    await symlink(path(scratch, 'outside.yaml'), path(root, 'manifests/a.yaml'));
    await symlink(path(scratch, 'folder'), path(root, 'manifests/b'));
    await symlink('.', path(root, 'manifests/loop'));
    await symlink('nowhere', path(root, 'manifests/c.yaml'));
    expect((await complaints(load())).map((line) => line.split(' | ')[0])).toEqual([
      'manifests/a.yaml:1:1: manifests/a.yaml: is a link that leaves the repository',
      'manifests/b:1:1: manifests/b: is a symbolic link',
      'manifests/c.yaml:1:1: manifests/c.yaml: is a link to nothing',
      'manifests/loop:1:1: manifests/loop: is a symbolic link',
    ]);
  });

  it('holds text files of a sane size', async () => {
    await write('manifests/big.yaml', `# ${'x'.repeat(1024 * 1024)}`);
    await write('manifests/latin.yaml', Uint8Array.of(0x61, 0x3a, 0x20, 0xe4));
    expect((await complaints(load())).map((line) => line.split(' | ')[0])).toEqual([
      'manifests/big.yaml:1:1: manifests/big.yaml: is larger than 1 MiB',
      'manifests/latin.yaml:1:1: manifests/latin.yaml: is not UTF-8 text',
    ]);
  });
});

describe('files that manifests name', () => {
  const trusting = (ca: string) => manifest('Target', 'db', `type: mysql\nhost: h\ntls: { ca: "${ca}" }`);
  const reading = (file: string) =>
    manifest(
      'Target',
      'db',
      `type: mysql\nhost: h\ncredentials: { username: a, password: { file: "${file}" } }`,
    );
  const say = (text: string, env: NodeJS.ProcessEnv = {}) => wrong(text, { root, env });

  it('an authority is a PEM certificate of the repository', async () => {
    const openssl = [
      'req',
      '-x509',
      '-newkey',
      'ed25519',
      '-nodes',
      '-subj',
      '/CN=ca',
      '-days',
      '1',
      '-keyout',
      path(root, 'key.pem'),
      '-out',
      path(root, 'ca.pem'),
    ];
    execFileSync('openssl', openssl, { stdio: 'ignore' });
    await writeFile(path(scratch, 'ca.pem'), 'x');
    await symlink(path(scratch, 'ca.pem'), path(root, 'link.pem'));
    await write('text.pem', 'no certificate');
    await write('torn.pem', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
    expect(await say(trusting('ca.pem'))).toEqual([]);
    const refused: [string, string][] = [
      ['../ca.pem', 'spec.tls.ca leaves the repository'],
      [path(scratch, 'ca.pem'), 'spec.tls.ca leaves the repository'],
      ['link.pem', 'spec.tls.ca leaves the repository'],
      ['none.pem', 'spec.tls.ca names a file that does not exist'],
      ['text.pem', 'spec.tls.ca is not a PEM certificate'],
      ['torn.pem', 'spec.tls.ca is not a PEM certificate'],
      ['key.pem', 'spec.tls.ca holds a private key'],
    ];
    for (const [ca, what] of refused) {
      const said = await say(trusting(ca));
      expect(said).toHaveLength(1);
      expect(said[0]).toMatch(`manifests/a.yaml:7:10: db: ${what} | `);
    }
  });

  it('a value is a file of the repository, or an absolute one outside CI', async () => {
    await symlink(scratch, path(root, 'out'));
    const leaves =
      'manifests/a.yaml:7:43: db: spec.credentials.password.file leaves the repository | use a path below the repository, or { env: NAME }';
    expect(await say(reading('secret/none-yet'))).toEqual([]);
    expect(await say(reading('../x'))).toEqual([leaves]);
    expect(await say(reading('a/../../x'))).toEqual([leaves]);
    expect(await say(reading('out/x'))).toEqual([leaves]);
    expect(await say(reading('/run/secrets/x'))).toEqual([]);
    expect(await say(reading('/run/secrets/x'), { CI: 'false' })).toEqual([]);
    expect(await say(reading('/run/secrets/x'), { CI: 'true' })).toEqual([
      'manifests/a.yaml:7:43: db: spec.credentials.password.file is an absolute path, which CI does not read | use a path below the repository, or { env: NAME }',
    ]);
    expect(await say(reading(path(root, 'x')), { CI: 'true' })).toEqual([]);
  });
});
