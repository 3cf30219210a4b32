/** Whatever is wrong before anything is touched: one sentence, one hint, an exit code, and nothing has changed. */

import { appendFileSync, chmodSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { generateBundle } from '../../src/state/identity.ts';
import { put } from '../crash/world.ts';
import { closedPort } from '../servers/cut-proxy.ts';
import { expectFailure, onPostgres, secretManifest, targetManifest } from './scene.ts';

describe('refused, and nothing has changed', () => {
  const { running, make } = onPostgres();
  const rotate = ['rotate', 'app', '--force'];

  it('without an identity', async () => {
    const { world, a, unchanged } = await make();
    const run = await unchanged(() => world.run(a, rotate, { env: { KEYTURN_IDENTITY_FILE: '' } }));
    expectFailure(
      run,
      1,
      /^keyturn: error: identity: there is none/m,
      /hint: pass --identity FILE.*keyturn keygen makes one|hint: pass --identity FILE/m,
    );
  });

  it("with somebody else's identity", async () => {
    const { world, a, unchanged } = await make();
    const { bundle } = await generateBundle('stranger');
    put(world.at('stranger'), bundle.reveal(), 0o600);
    const run = await unchanged(() => world.run(a, ['--identity', world.at('stranger'), ...rotate]));
    expectFailure(
      run,
      1,
      /^keyturn: error: state\/\d+\.age: not for you: it is not encrypted to your identity$/m,
      /hint: yours is age1/,
    );
  });

  it('as a reader, who may read but not apply', async () => {
    const { world, a, unchanged } = await make();
    const run = await unchanged(() => world.run(a, ['--identity', world.reader.file, ...rotate]));
    expectFailure(
      run,
      1,
      /^keyturn: error: state\/\d+\.age: not for you: it is not encrypted to your identity$/m,
      /hint: yours is age1/,
    );
  });

  it.each([
    [
      'flipped',
      (bytes: Buffer) => Buffer.from(bytes.map((byte, i) => (i === bytes.length - 40 ? byte ^ 1 : byte))),
    ],
    ['truncated', (bytes: Buffer) => bytes.subarray(0, bytes.length - 100)],
    ['emptied', () => Buffer.alloc(0)],
  ])('with a state that somebody has %s', async (_, damage) => {
    const { world, a, observer, unchanged } = await make();
    world.git(observer.clone, 'pull', '--quiet');
    const [newest = ''] = readdirSync(join(observer.clone, 'state')).sort().reverse();
    const path = `state/${newest}`;
    world.commit(observer, { [path]: damage(readFileSync(join(observer.clone, path))) }, 'Damage');
    const run = await unchanged(() => world.run(a, rotate));
    expectFailure(run, 3, /^keyturn: error: state\/\d+\.age: /m, /hint: /);
  });

  it('with a value file that somebody has replaced', async () => {
    const { world, a, observer, unchanged } = await make({ secrets: ['app', 'job'] });
    world.git(observer.clone, 'pull', '--quiet');
    const other = readFileSync(join(observer.clone, 'values/job/1.age'));
    world.commit(observer, { 'values/app/1.age': other }, 'Swap');
    const run = await unchanged(() => world.run(a, rotate));
    expectFailure(run, 3, /values\/app\/1\.age: is not the file that the state recorded/, /hint|restore it/);
    const got = await world.run(a, ['get', 'app']);
    expectFailure(got, 3, /values\/app\/1\.age: /, /hint: /);
    expect(got.stdout).toBe('');
  });

  it('with a state that was rolled back', async () => {
    const { world, a, allLogIn, unchanged } = await make();
    const old = world.tip();
    expect((await world.run(a, rotate)).code).toBe(0);
    await allLogIn();
    world.git(world.remote, 'update-ref', 'refs/heads/main', old);
    const run = await unchanged(() => world.run(a, rotate));
    expectFailure(
      run,
      3,
      /^keyturn: error: state: went back from serial \d+ to \d+/m,
      /hint: restore the branch that holds it/,
    );
  });

  it('with manifests of a future format', async () => {
    const { world, a, observer, unchanged } = await make();
    const text = world.git(observer.clone, 'show', 'HEAD:keyturn.yaml');
    world.commit(a, { 'keyturn.yaml': `${text.replace('keyturn/v1', 'keyturn/v9')}\n` });
    const run = await unchanged(() => world.run(a, rotate));
    expectFailure(
      run,
      1,
      /keyturn\.yaml:1:1: crash: is written for a newer keyturn/,
      /hint: this one reads keyturn\/v1/,
    );
  });

  it('when the target is down', async () => {
    const { world, a, unchanged, look } = await make();
    const port = await closedPort();
    world.commit(a, { 'manifests/target.yaml': targetManifest(world, running(), { port }) });
    expect((await world.run(a, ['--yes', 'rebind', 'app'])).code).toBe(0);
    const first = await world.run(a, rotate);
    expectFailure(first, 75, /app .*nobody listens|ECONNREFUSED|unreachable/);
    await unchanged(() => world.run(a, rotate));
    expect((await look()).get('app')?.record).toMatchObject({ current: 1, pending: null });
  });

  it('when the target login may not change the account', async () => {
    const username = `lead_${process.pid}`;
    const password = `Lead-${crypto.randomUUID()}`;
    await running().query(`CREATE ROLE ${username} SUPERUSER LOGIN PASSWORD '${password}'`);
    const { world, a, unchanged, look } = await make({ login: { username, password } });
    await running().query(`ALTER ROLE ${username} NOSUPERUSER`);
    const first = await world.run(a, rotate);
    expectFailure(first, 3, /app .*the login may not change this role/, /CREATEROLE/);
    await unchanged(() => world.run(a, rotate));
    expect((await look()).get('app')?.record).toMatchObject({ current: 1, pending: null });
  });

  it('a policy that no value can meet, by validate', async () => {
    const { world, a, unchanged, username } = await make();
    const policy = '  passwordPolicy: { numbers: true, exclude: "0123456789" }\n';
    world.commit(a, {
      'manifests/app.yaml': secretManifest(world, 'app', username('app'), 'target', policy),
    });
    const run = await unchanged(() => world.run(a, ['validate']));
    expectFailure(
      run,
      1,
      /app\.yaml:\d+:\d+: app: spec\.passwordPolicy\.exclude removes all numbers/,
      /set numbers to false/,
    );
    expectFailure(await unchanged(() => world.run(a, rotate)), 1, /removes all numbers/, /hint: /);
  });

  it('by a branch that is protected', async () => {
    const { world, a, unchanged } = await make();
    const hook = join(world.remote, 'hooks/pre-receive');
    put(hook, '#!/bin/sh\necho "GH006: Protected branch update failed for refs/heads/main." >&2\nexit 1\n');
    chmodSync(hook, 0o755);
    const run = await unchanged(() => world.run(a, rotate));
    expectFailure(
      run,
      1,
      /app .*the claim was refused by the remote/,
      /let this job push to the branch|give this job write access/,
    );
  });

  it('with manifests that are not committed', async () => {
    const { world, a, unchanged } = await make();
    appendFileSync(join(a.clone, 'manifests/app.yaml'), '# later\n');
    const run = await unchanged(() => world.run(a, rotate));
    expectFailure(
      run,
      1,
      /manifests\/app\.yaml: has changes that are not committed/,
      /git commit it, or git stash it/,
    );
  });

  it('when the remote cannot be reached', async () => {
    const { world, a, unchanged } = await make();
    world.git(a.clone, 'remote', 'set-url', 'origin', `git://127.0.0.1:${await closedPort()}/secrets.git`);
    const run = await unchanged(() => world.run(a, rotate));
    expectFailure(run, 75, /^keyturn: error: origin .*cannot be read/m, /hint: /);
  });
});
