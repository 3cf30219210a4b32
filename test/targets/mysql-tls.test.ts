import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Secret } from '../../src/secret.ts';
import type { RotationJob, Target } from '../../src/targets/driver.ts';
import { mysql } from '../../src/targets/mysql.ts';
import { freshValue } from '../conformance.ts';
import { startCutProxy } from '../servers/cut-proxy.ts';
import { startMariadb, startMysql } from '../servers/mysql.ts';
import { isMissing } from '../servers/mysql-installation.ts';
import type { DatabaseServer } from '../servers/server.ts';
import { makeCertificates } from '../servers/tls.ts';
import { freshJob, targetOf } from './mysql-fixture.ts';

const verify = (over: Partial<Target['tls']>): Target['tls'] => ({
  mode: 'verify',
  ca: undefined,
  caFile: undefined,
  serverName: undefined,
  ...over,
});

for (const [kind, start] of [
  ['mariadb', startMariadb],
  ['mysql', startMysql],
] as const) {
  describe.skipIf(isMissing(kind))(`TLS of ${kind}, certificate for localhost alone`, () => {
    let server: DatabaseServer;
    let job: RotationJob;
    beforeAll(async () => {
      server = await start({ names: ['DNS:localhost'] });
      job = await freshJob(server, { actor: 'target' });
    });
    afterAll(() => server?.stop());

    const probe = async (tls: Target['tls'], over: Partial<Target> = {}) => {
      const rotator = mysql.rotator({ ...job, target: targetOf(server, { tls, ...over }) });
      return rotator.probe(job.current as Secret);
    };

    it('trusts the CA of the manifest and the name that it checks', async () => {
      expect(await probe(verify({ ca: server.caPem, serverName: 'localhost' }))).toMatchObject({ r: 'ok' });
      expect(await probe(verify({ ca: server.caPem }), { host: 'localhost' })).toMatchObject({ r: 'ok' });
    });

    it.each([
      ['another CA', { ca: makeCertificates().caPem, serverName: 'localhost' }],
      ["the system's CAs", { serverName: 'localhost' }],
    ])('does not trust %s, and says nothing of the account in clear', async (_, tls) => {
      const proxy = await startCutProxy({ host: server.host, port: server.port });
      try {
        expect(await probe(verify(tls), { port: proxy.port })).toMatchObject({
          r: 'unreachable',
          code: 'HANDSHAKE_SSL_ERROR',
        });
        expect(proxy.connections).toBe(1);
        expect(proxy.sent).not.toContain(job.username);
      } finally {
        await proxy.stop();
      }
    });

    it('does not take another name, nor an address that the certificate does not hold', async () => {
      const { caPem: ca } = server;
      for (const tls of [verify({ ca, serverName: 'db.example' }), verify({ ca })]) {
        expect(await probe(tls)).toMatchObject({ r: 'unreachable', code: 'HANDSHAKE_SSL_ERROR' });
      }
    });

    it('rotates over TLS', async () => {
      const rotator = mysql.rotator({
        ...job,
        target: targetOf(server, { host: 'localhost', tls: verify({ ca: server.caPem }) }),
      });
      try {
        expect(await rotator.preflight()).toMatchObject({ r: 'ready', warnings: [] });
        const value = new Secret(freshValue());
        expect(await rotator.set(value, {})).toMatchObject({ r: 'applied' });
        expect(await rotator.probe(value)).toMatchObject({ r: 'ok' });
      } finally {
        await rotator.close();
      }
    });
  });
}

describe.skipIf(isMissing('mariadb'))('TLS of mariadb, other servers', () => {
  it('takes the address that the certificate holds', async () => {
    const server = await startMariadb({ names: ['IP:127.0.0.1'] });
    try {
      const job = await freshJob(server, { actor: 'target' });
      const at = (tls: Target['tls']) =>
        mysql.rotator({ ...job, target: targetOf(server, { tls }) }).probe(job.current as Secret);
      expect(await at(verify({ ca: server.caPem }))).toMatchObject({ r: 'ok' });
      expect(await at(verify({ ca: server.caPem, serverName: '127.0.0.2' }))).toMatchObject({
        r: 'unreachable',
      });
    } finally {
      await server.stop();
    }
  });

  it('never falls back to a connection without TLS', async () => {
    const server = await startMariadb({ options: ['--skip-ssl'] });
    const proxy = await startCutProxy({ host: server.host, port: server.port });
    try {
      const job = {
        ...(await freshJob(server, { actor: 'target' })),
        target: targetOf(server, { tls: verify({ ca: server.caPem }), port: proxy.port }),
      };
      const found = await mysql.rotator(job).probe(job.current as Secret);
      expect(found).toMatchObject({ r: 'unreachable', code: 'HANDSHAKE_NO_SSL_SUPPORT' });
      expect(proxy.sent).not.toContain(job.username);
    } finally {
      await proxy.stop();
      await server.stop();
    }
  });
});
