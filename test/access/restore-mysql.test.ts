import { expect, it } from 'vitest';
import { takeDesk } from '../commands/desk.ts';
import { startMysql } from '../servers/mysql.ts';
import { isMissing } from '../servers/mysql-installation.ts';

/** A target that keeps a password history does not take an earlier value back: keyturn says so, and nothing breaks. */

it.skipIf(isMissing('mysql'))(
  'rotate --to-version says why MySQL refuses, and the next rotation works',
  async () => {
    const server = await startMysql();
    const desk = takeDesk({ ADMIN: server.adminPassword });
    try {
      await server.query("create user app@'%' identified by 'Initial-value-1' password history 5");
      await desk.keyturn(['init', '--name', 'acme']);
      for (const path of ['targets/db.yaml', 'roles/app.yaml', 'secrets/app-db.yaml'])
        desk.write(`manifests/${path}`, '');
      desk.write('manifests/ca.pem', server.caPem ?? '');
      desk.write(
        'manifests/all.yaml',
        `apiVersion: keyturn/v1
kind: Target
metadata: { name: my }
spec:
  type: mysql
  host: 127.0.0.1
  port: ${server.port}
  tls: { ca: manifests/ca.pem }
  credentials: { username: ${server.adminUser}, password: { env: ADMIN } }
---
apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: app }
spec: { target: my, authenticateAs: target, account: { username: app } }
`,
      );
      desk.push();
      expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
      expect(await desk.keyturn(['rotate', 'app', '--force'])).toMatchObject({ code: 0 });
      const { out: second } = await desk.keyturn(['get', 'app']);

      const refused = await desk.keyturn(['rotate', 'app', '--force', '--to-version', '1']);
      expect(refused.code, refused.err).toBe(1);
      expect(refused.err).toContain('the target refuses the value');
      expect(refused.err).toContain(
        'does not take an earlier value back; keyturn rotate app makes a new one',
      );
      expect((await desk.keyturn(['get', 'app'])).out).toBe(second);
      expect(await desk.keyturn(['verify'])).toMatchObject({ code: 0 });
      expect((await desk.keyturn(['show', 'app'])).out).toMatch(/v3\s+abandoned/);
      expect(await desk.keyturn(['rotate', 'app', '--force'])).toMatchObject({ code: 0 });
      expect(await desk.keyturn(['verify'])).toMatchObject({ code: 0 });
    } finally {
      desk.leave();
      await server.stop();
    }
  },
);
