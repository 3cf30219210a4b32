/** A key was made and the branch does not take it: it is on a ref of its own, or in the log, and comes back (F22). */
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { isMotoMissing, type Moto, startMoto } from '../servers/moto.ts';
import { createWorld, type Machine, type World } from './world.ts';

describe.skipIf(isMotoMissing())('a new key that the branch refuses', () => {
  let moto: Moto;
  let world: World;
  let a: Machine;
  let user = '';
  let users = 0;
  beforeAll(async () => {
    moto = await startMoto();
  }, 60_000);
  afterAll(() => moto?.stop());
  beforeEach(async () => {
    users += 1;
    user = `spilled-${users}`;
    await moto.createUser(user);
    world = await createWorld({
      'manifests/aws.yaml': `apiVersion: keyturn/v1
kind: Target
metadata: { name: aws }
spec:
  type: aws
  accountId: "123456789012"
  endpoint: ${moto.url}
  tls: { mode: disable }
  credentials: { accessKeyId: ${moto.admin.accessKeyId}, secretAccessKey: { env: AWS_ADMIN } }
---
apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: key }
spec: { target: aws, authenticateAs: target, account: { username: ${user} } }
`,
    });
    a = world.machine('a');
    return () => world.remove();
  });

  /** Refuses what has `words` in its subject, and, where `side` is set, every ref but main too. */
  const refuse = (words: string, side: boolean) => {
    const hook = join(world.remote, 'hooks', 'pre-receive');
    const others = side ? 'case "$ref" in refs/heads/main) ;; *) exit 1 ;; esac' : ':';
    writeFileSync(
      hook,
      `#!/bin/sh\nwhile read old new ref; do\n${others}\ngit log -1 --format=%s "$new" | grep -q '${words}' && [ "$ref" = refs/heads/main ] && exit 1\ndone\nexit 0\n`,
    );
    chmodSync(hook, 0o755);
    return () => rmSync(hook);
  };
  const env = () => ({ AWS_ADMIN: moto.admin.secretAccessKey });
  const late = 30 * 60_000;

  it('is found by another machine on a ref of its own, which then goes', async () => {
    const allow = refuse('record key', false);
    const failed = await world.run(a, ['apply', '--yes'], { env: env() });
    expect([failed.code, failed.stderr.includes('on a ref of its own')], failed.stderr).toEqual([75, true]);
    const [made] = await moto.keys(user);
    const refs = () =>
      world.git(world.remote, 'for-each-ref', '--format=%(refname)', 'refs/heads/keyturn-spill');
    expect(refs()).toMatch(/^refs\/heads\/keyturn-spill\/[^/]+\/1-/);
    allow();
    const b = world.machine('b');
    const found = await world.run(b, ['apply', '--yes', '--force'], { env: env(), offset: late });
    expect(found.code, found.stderr).toBe(0);
    expect((await world.ask(b, ['get', 'key', '--field', 'accessKeyId'])).stdout.trim()).toBe(made?.id);
    expect(await moto.keys(user)).toHaveLength(1);
    expect(refs()).toBe('');
  }, 120_000);

  it('is brought back from the log where nothing else took it', async () => {
    const allow = refuse('record key', true);
    const failed = await world.run(a, ['apply', '--yes'], { env: env() });
    expect([failed.code, failed.stderr.includes('encrypted in this log')], failed.stderr).toEqual([75, true]);
    const [made] = await moto.keys(user);
    allow();
    const b = world.machine('b');
    writeFileSync(join(b.clone, '..', 'job.log'), failed.stderr);
    const options = { env: env(), offset: late };
    const wrong = await world.run(b, ['recover', '--from', 'keyturn.yaml'], options);
    expect([wrong.code, wrong.stderr.includes('holds no keyturn record')]).toEqual([1, true]);
    const found = await world.run(b, ['recover', '--from', '../job.log', '--force', '--yes'], options);
    expect(found.code, found.stderr).toBe(0);
    expect((await world.ask(b, ['get', 'key', '--field', 'accessKeyId'])).stdout.trim()).toBe(made?.id);
    expect(await moto.keys(user)).toHaveLength(1);
  }, 120_000);
});
