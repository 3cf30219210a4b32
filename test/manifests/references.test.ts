import { describe, expect, it } from 'vitest';
import { join, manifest, mysql, own, project, said, secret, wrong } from './fixtures.ts';

describe('references', () => {
  it('to targets', async () => {
    expect(await wrong(join(mysql(), secret('app', '', 'prod/mysqll')))).toEqual([
      'manifests/a.yaml:13:3: app: there is no target prod/mysqll | did you mean "prod/mysql"?',
    ]);
    expect(await said(secret('app', '', 'elsewhere'))).toEqual([
      'app: there is no target elsewhere | declare a Target of that name',
    ]);
  });

  it('to a target that is itself wrong do not dangle', async () => {
    expect(await said(join(manifest('Target', 'db', 'type: mysql'), secret('app', '', 'db')))).toEqual([
      'db: spec lacks host | add host: host name or address, without port',
    ]);
  });

  it('to secrets', async () => {
    expect(await wrong(join(own('db', 'h', 'prod/admn'), secret('prod/admin', '', 'db')))).toEqual([
      'manifests/a.yaml:7:46: db: spec.credentials.password refers to no rotated secret | did you mean "prod/admin"?',
    ]);
    expect(
      await said(join(mysql(), secret('app', 'initial: { password: { secret: s3cretvalue } }'))),
    ).toEqual([
      'app: spec.initial.password refers to no rotated secret | name a RotatedSecret; encrypt a literal value with keyturn seal',
    ]);
    expect(
      await said('', { project: project('channels: { ops: { type: webhook, url: { secret: x } } }') }),
    ).toHaveLength(1);
    expect(await said('', { project: project('heartbeat: { url: { secret: x } }') })).toEqual([
      expect.stringContaining('spec.heartbeat.url refers to no rotated secret'),
    ]);
  });

  it('to channels', async () => {
    const with_ops = project('channels: { ops: { type: webhook, url: { env: OPS } } }');
    expect(
      await said(join(mysql(), secret('app', 'notify: { channels: [opps] }')), { project: with_ops }),
    ).toEqual(['app: spec.notify.channels names no channel | did you mean "ops"?']);
    expect(
      await said(join(mysql(), secret('app', 'notify: { before: [7d], channels: [ops] }')), {
        project: with_ops,
      }),
    ).toEqual([]);
  });

  it('movedFrom names something that is gone, once', async () => {
    expect(await said(join(mysql(), secret('old'), secret('new', 'movedFrom: old')))).toEqual([
      'new: spec.movedFrom names old, which still exists | remove the old manifest, or this key',
    ]);
    expect(await said(join(mysql(), secret('a', 'movedFrom: gone'), secret('b', 'movedFrom: gone')))).toEqual(
      ['b: spec.movedFrom names gone, as a does | one secret can move to one place only'],
    );
  });

  it.each(['app/current', 'app/8.age/x'])(
    'the name %s would collide with a file of keyturn',
    async (name) => {
      const [line, ...more] = await said(
        join(mysql(), manifest('RotatedSecret', name, 'target: prod/mysql\naccount: { username: u }')),
      );
      expect(line).toContain(`${name}: the segment ${name.split('/')[1]} is taken by keyturn's own files`);
      expect(more).toEqual([]);
    },
  );

  it('names of one kind are unique', async () => {
    expect(await wrong(join(mysql(), secret(), secret()))).toEqual([
      'manifests/a.yaml:18:13: app: there is a second RotatedSecret of this name | the first is at manifests/a.yaml:11: rename or remove one',
    ]);
    expect(await said(join(mysql('app'), secret('app', '', 'app')))).toEqual([]);
  });
});

describe('circles', () => {
  it('through targets are refused, each once', async () => {
    const text = join(
      own('t1', 'h1', 'b'),
      own('t2', 'h2', 'a'),
      secret('a', '', 't1'),
      secret('b', '', 't2'),
      secret('c', '', 't1'),
    );
    expect(await said(text)).toEqual([
      'a: needs itself to be rotated: a -> b -> a | give one of these targets credentials from outside the circle',
    ]);
  });

  it('through initial values too', async () => {
    expect(await said(join(mysql(), secret('a', 'initial: { password: { secret: a } }')))).toEqual([
      'a: needs itself to be rotated: a -> a | give one of these targets credentials from outside the circle',
    ]);
  });

  it('a chain that ends is fine, a secret of its own target with rotator: password is not', async () => {
    expect(
      await said(join(mysql('t0'), own('t1', 'h1', 'a'), secret('a', '', 't0'), secret('b', '', 't1'))),
    ).toEqual([]);
    expect(await said(join(own('t1', 'h1', 'a'), secret('a', '', 't1')))).toEqual([
      'a: needs itself to be rotated: a -> a | write rotator: target if it is the credential of its own target',
    ]);
  });
});
