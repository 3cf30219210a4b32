import { describe, expect, it } from 'vitest';
import { desired, join, manifest, mysql, own, postgres, project, said, secret, wrong } from './fixtures.ts';

describe('rotator: target', () => {
  const rotating = (more = '') => manifest('RotatedSecret', 'root', `target: db\nrotator: target\n${more}`);

  it('does not excuse a secret whose first value is itself', async () => {
    const text = join(own('db', 'h', 'root'), rotating('initial: { password: { secret: root } }'));
    expect(await said(text)).toEqual([
      'root: needs itself to be rotated: root -> root | give one of these targets credentials from outside the circle',
    ]);
  });

  it('takes its account from the credentials that name it', async () => {
    const { secrets } = await desired(join(own('db', 'h', 'root'), rotating()));
    expect(secrets.get('root')?.account).toEqual({ usernames: ['root'], host: '%' });
    expect(await said(join(own('db', 'h', 'root'), rotating('account: { username: root }')))).toEqual([]);
  });

  it('is refused for another account, or where the target does not name it', async () => {
    expect(await said(join(own('db', 'h', 'root'), rotating('account: { username: other }')))).toEqual([
      "root: spec.account is not the account of db's credentials | remove spec.account: it is taken from the target",
    ]);
    expect(await said(join(mysql('db'), rotating()))).toEqual([
      'root: rotator: target rotates the credentials of db, but they do not refer to this secret | write credentials: { username: …, password: { secret: root } } in db, or rotator: password',
    ]);
    expect(await said(join(manifest('Target', 'db', 'type: mysql\nhost: h'), rotating()))).toHaveLength(1);
  });
});

describe('accounts', () => {
  it('belong to one secret', async () => {
    const twin = mysql('twin').replace('db.internal', 'DB.internal');
    const other = manifest(
      'RotatedSecret',
      'other',
      'target: twin\nauthenticateAs: target\naccount: { usernames: [x, app] }',
    );
    expect(await wrong(join(mysql(), twin, secret(), other))).toEqual([
      'manifests/a.yaml:30:29: other: rotates app@% at DB.internal:3306, as app does | keep one secret for one account, and give its readers a role',
    ]);
    expect(
      await said(
        join(
          mysql(),
          secret(),
          manifest('RotatedSecret', 'b', 'target: prod/mysql\naccount: { username: app, host: 10.% }'),
        ),
      ),
    ).toEqual([]);
  });

  it('have one shape', async () => {
    const shaped = (account: string, target = 'prod/mysql') =>
      manifest('RotatedSecret', 'app', `target: ${target}\nauthenticateAs: target\naccount: ${account}`);
    expect(await said(join(mysql(), shaped('{ username: a, usernames: [a, b] }')))).toEqual([
      'app: spec.account has both username and usernames | keep usernames for two users that take turns, else username',
    ]);
    expect(await said(join(mysql(), shaped('{ host: x }')))).toEqual([
      'app: spec.account lacks username | add username, or usernames for two users that take turns',
    ]);
    expect(await said(join(postgres(), shaped('{ username: a, host: x }', 'prod/pg')))).toEqual([
      'app: spec.account.host does not exist in postgresql | remove it: only mysql users have a host part',
    ]);
    expect(
      await said(join(mysql(), secret('app', 'initial: { password: { env: P }, username: b }'))),
    ).toEqual([
      'app: spec.initial.username is not the user of spec.account | name one of the users of spec.account',
    ]);
  });

  it('are changed by somebody who can', async () => {
    const bare = manifest('Target', 'db', 'type: mysql\nhost: h');
    expect(await said(join(bare, secret('app', 'authenticateAs: target', 'db')))).toEqual([
      'app: authenticateAs: target needs credentials in db | add spec.credentials to db, or write authenticateAs: user',
    ]);
    expect(
      await said(
        join(mysql(), manifest('RotatedSecret', 'app', 'target: prod/mysql\naccount: { usernames: [a, b] }')),
      ),
    ).toEqual([
      'app: alternating users cannot change their own passwords | write authenticateAs: target: the user that is not in use is rotated with the credentials of the target',
    ]);
  });

  it('of postgresql have grace only as a pair', async () => {
    const complaint =
      'app: postgresql keeps one password for a user, so there is no grace | write account: { usernames: [a, b] } for two users that take turns, or grace: 0s';
    expect(await said(join(postgres(), secret('app', 'grace: 24h', 'prod/pg')))).toEqual([complaint]);
    expect(
      await said(join(postgres(), secret('app', '', 'prod/pg')), {
        project: project('defaults: { grace: 24h }'),
      }),
    ).toEqual([complaint]);
    expect(
      await said(join(postgres(), secret('app', 'grace: 0s', 'prod/pg')), {
        project: project('defaults: { grace: 24h }'),
      }),
    ).toEqual([]);
    const pair = manifest(
      'RotatedSecret',
      'app',
      'target: prod/pg\nauthenticateAs: target\ngrace: 24h\naccount: { usernames: [a, b] }',
    );
    expect(await said(join(postgres(), pair))).toEqual([]);
  });
});
