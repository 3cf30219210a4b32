/** One document for the same account on several hosts. */
import { describe, expect, it } from 'vitest';
import { alice, bob, desired, join, manifest, mysql, said, secret, wrong } from './fixtures.ts';

const pin = `SHA256:${'A'.repeat(43)}`;
const host = (name: string): string =>
  manifest(
    'Target',
    name,
    `type: ssh\nhost: ${name.replaceAll('/', '-')}.internal\nhostKeys: ["${pin}"]\ncredentials: { username: root, password: { env: ROOT } }`,
  );
const three = [host('prod/web-1'), host('prod/web-2'), host('test/web-3')];
const root = (hosts = '[prod/web-1, prod/web-2, test/web-3]', more = ''): string =>
  manifest(
    'RotatedSecret',
    'web/ops',
    `hosts: ${hosts}\nauthenticateAs: target\naccount: { username: root }\n${more}`,
  );

describe('hosts, one value each', () => {
  it('become a secret a host, whose roles may name it or all of them', async () => {
    const role = (name: string, who: string, glob: string): string =>
      manifest('Role', name, `members: [{ name: ${name}, recipient: ${who} }]\nsecrets: ["${glob}"]`);
    const { secrets } = await desired(
      join(...three, root(), role('all', alice, 'web/ops'), role('one', bob, 'web/ops/web-2')),
    );
    expect(
      [...secrets.values()].map(({ name, target, readers }) => [name, target, readers.map((r) => r.name)]),
    ).toEqual([
      ['web/ops/web-1', 'prod/web-1', ['all']],
      ['web/ops/web-2', 'prod/web-2', expect.arrayContaining(['all', 'one'])],
      ['web/ops/web-3', 'test/web-3', ['all']],
    ]);
  });

  it('move together, and may be what their targets log in with', async () => {
    const self = manifest(
      'Target',
      'web-1',
      `type: ssh\nhost: web-1\nhostKeys: ["${pin}"]\ncredentials: { username: kt, password: { secret: login/web-1 } }`,
    );
    const login = manifest('RotatedSecret', 'login', 'hosts: [web-1]\nrotator: target\nmovedFrom: old');
    const { secrets } = await desired(join(self, login));
    expect(secrets.get('login/web-1')).toMatchObject({
      movedFrom: 'old/web-1',
      account: { usernames: ['kt'] },
    });
  });

  it('say where in their document a mistake stands, once', async () => {
    expect(await wrong(join(...three, root('[prod/web-1, prod/web-9]')))).toEqual([
      'manifests/a.yaml:32:23: web/ops/web-9: there is no target prod/web-9 | did you mean "prod/web-1"?',
    ]);
    expect(await said(join(...three, root(undefined, 'grace: 1h')))).toEqual([
      'web/ops/web-1: an account has one password, so there is no grace | write grace: 0s, or rotator: ssh-key',
    ]);
  });

  it.each([
    ['target: prod/web-1', 'web/ops: spec has both target and hosts'],
    ['hosts: [prod/web-1, prod/web-1]', 'web/ops: spec.hosts holds the same item twice'],
    ['hosts: []', 'web/ops: spec.hosts has too few items'],
  ])('%s is a mistake', async (written, what) => {
    const text = written.startsWith('hosts')
      ? root(written.slice('hosts: '.length))
      : root(undefined, written);
    expect((await said(join(...three, text))).join('\n')).toContain(what);
  });

  it('is a mistake where two hosts end alike, one is no host, or a secret has the name already', async () => {
    expect(
      (await said(join(...three, host('test/web-1'), root('[prod/web-1, test/web-1]')))).join('\n'),
    ).toContain('web/ops: two of spec.hosts end in web-1');
    expect((await said(join(mysql('db'), root('[db]')))).join('\n')).toContain('web/ops/db: db is no host');
    expect(
      (await said(join(...three, root(), secret('web/ops/web-1', '', 'prod/web-2')))).join('\n'),
    ).toContain('web/ops/web-1: there is a second RotatedSecret of this name');
    expect((await said(manifest('RotatedSecret', 'app', 'account: { username: app }'))).join('\n')).toContain(
      'app: spec lacks target',
    );
  });
});

describe('hosts, one value', () => {
  it('are one secret, on all of them', async () => {
    const { secrets } = await desired(join(...three, root(undefined, 'values: one\nmovedFrom: old')));
    expect([...secrets.values()]).toMatchObject([
      {
        name: 'web/ops',
        target: 'prod/web-1',
        hosts: ['prod/web-1', 'prod/web-2', 'test/web-3'],
        movedFrom: 'old',
      },
    ]);
  });

  it('are each checked, and none may log in with the value itself', async () => {
    expect(await wrong(join(...three, root('[prod/web-1, prod/web-9]', 'values: one')))).toEqual([
      'manifests/a.yaml:32:23: web/ops/web-9: there is no target prod/web-9 | did you mean "prod/web-1"?',
    ]);
    expect(
      await said(join(...three, root(undefined, 'values: one'), secret('other', '', 'test/web-3'))),
    ).toEqual([]);
    const twin = manifest('RotatedSecret', 'twin', 'target: test/web-3\naccount: { username: root }');
    expect((await said(join(...three, root(undefined, 'values: one'), twin))).join('\n')).toMatch(
      /twin: rotates root at test-web-3.internal:22, as web\/ops\/web-3 does/,
    );
    const self = manifest(
      'Target',
      'self',
      `type: ssh\nhost: self\nhostKeys: ["${pin}"]\ncredentials: { username: kt, password: { secret: web/ops } }`,
    );
    expect(
      (await said(join(...three, self, root('[prod/web-1, self]', 'values: one')))).join('\n'),
    ).toContain('web/ops/self: self logs in with the value that all hosts have | write values: each');
    expect((await said(join(...three, secret('app', 'values: one', 'prod/web-1')))).join('\n')).toContain(
      'app: spec.values is for hosts',
    );
  });
});
