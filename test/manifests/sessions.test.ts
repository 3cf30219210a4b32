import { describe, expect, it } from 'vitest';
import { desired, join, manifest, mysql, said, secret } from './fixtures.ts';

const ssh = manifest('Target', 'host', `type: ssh\nhost: h\nhostKeys: ["SHA256:${'A'.repeat(43)}"]`);
const onMysql = (access: string): string =>
  join(mysql(), secret('app', `authenticateAs: target\naccess: ${access}`));
const onHost = (access: string): string =>
  join(
    ssh,
    secret('app', `initial: { password: { env: X } }\naccess: ${access}`, 'host'),
    secret('ca', 'initial: { privateKey: { env: X } }\nrotator: ssh-key', 'host'),
  );

describe('spec.access', () => {
  const of = async (text: string) => (await desired(text)).secrets.get('app')?.access;
  it('is for sessions as the target speaks', async () => {
    expect(await of(onMysql('{}'))).toEqual({
      protocol: 'mysql',
      hosts: [],
      rotateAfter: null,
      exclusive: false,
    });
    expect(await of(onMysql('{ enable: false, exclusive: true }'))).toBeUndefined();
    expect(await of(join(mysql(), secret()))).toBeUndefined();
    expect(await of(onMysql('{ rotateAfterDisconnect: true }'))).toMatchObject({ rotateAfter: 0 });
    expect(await of(onMysql('{ rotateAfterDisconnect: 15m }'))).toMatchObject({ rotateAfter: 900_000 });
    expect(
      await of(onMysql('{ web: { url: "https://App.Internal/a b" } }').replace('a b', 'a/b')),
    ).toMatchObject({
      protocol: 'web',
      web: { url: 'https://app.internal/a/b', auth: 'basic' },
    });
    expect(await of(onMysql('{ web: { url: "https://app/", auth: header } }'))).toMatchObject({
      web: { header: 'Authorization', prefix: 'Bearer ' },
    });
    expect(await of(onMysql('{ web: { url: "https://app/", auth: header, header: X-Key } }'))).toMatchObject({
      web: { header: 'X-Key', prefix: '' },
    });
    expect(await of(onHost('{ certificate: { ca: ca } }'))).toMatchObject({
      protocol: 'ssh',
      certificate: { ca: 'ca', ttl: 300_000, principals: ['app'] },
    });
  });

  it('says nothing about how a secret is rotated', async () => {
    const digest = async (text: string) => (await desired(text)).secrets.get('app')?.specDigest;
    expect(await digest(onMysql('{ exclusive: true }'))).toBe(await digest(onMysql('{}')));
  });

  it.each([
    [onMysql('{ protocol: ssh }'), 'mysql does not speak ssh'],
    [onMysql('{ protocol: web }'), 'spec.access lacks web'],
    [onMysql('{ protocol: mysql, web: { url: "https://a" } }'), 'spec.access.web is for protocol: web'],
    [onMysql('{ web: { url: "http://a" } }'), 'spec.access.web.url is not encrypted'],
    [onMysql('{ web: { url: "https://a:99999" } }'), 'spec.access.web.url is no address'],
    [onMysql('{ web: { url: "https://user:pw@a" } }'), 'spec.access.web.url is not written right'],
    [onMysql('{ web: { url: "https://a" }, hosts: [b] }'), 'spec.access.hosts is not for web sessions'],
    [onMysql('{ web: { url: "https://a", header: X } }'), 'a header is named, but auth is basic'],
    [onMysql('{ certificate: { ca: app } }'), 'spec.access.certificate is for ssh'],
    [onMysql('{ rotateAfterDisconnect: soon }'), 'spec.access.rotateAfterDisconnect is not written right'],
    [onHost('{ certificate: { ca: nobody } }'), 'there is no secret nobody'],
    [onHost('{ certificate: { ca: app } }'), 'a credential cannot be its own authority'],
    [
      onHost('{ certificate: { ca: ca }, rotateAfterDisconnect: true }'),
      'a session by certificate does not use the credential',
    ],
  ])('%#: %s', async (text, what) => {
    expect((await said(text)).join('\n')).toContain(`app: ${what}`);
  });
});
