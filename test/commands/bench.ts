/** One role of a real PostgreSQL, managed from a desk whose clock begins at noon of the same day every time. */
import pg from 'pg';
import { expect } from 'vitest';
import type { PostgresServer } from '../servers/postgresql.ts';
import { type Receiver, startReceiver } from '../servers/receivers.ts';
import { type Desk, takeDesk } from './desk.ts';

export const hour = 3_600_000;
export const day = 24 * hour;
const beginning = Date.UTC(2030, 0, 10, 12);

/** Sets the desk's clock this long after its beginning. */
export const later = (desk: Desk, ms: number): void => {
  desk.ahead = beginning - Date.now() + ms;
};

export const appManifest = (more = ''): string => `apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: pg/app }
spec: { target: pg, rotator: password, authenticateAs: target, account: { username: app }${more} }
`;

export class Bench {
  readonly server: PostgresServer;
  readonly web: Receiver;

  private constructor(server: PostgresServer, web: Receiver) {
    this.server = server;
    this.web = web;
  }

  /** With a fresh role `app`, whose password is `initial-app-value`. */
  static async set(server: PostgresServer): Promise<Bench> {
    await server.query('drop role if exists app');
    await server.query("create role app login password 'initial-app-value'");
    return new Bench(server, await startReceiver());
  }

  targetManifest(): string {
    return `apiVersion: keyturn/v1
kind: Target
metadata: { name: pg }
spec:
  type: postgresql
  host: 127.0.0.1
  port: ${this.server.port}
  tls: { mode: disable }
  credentials: { username: ${this.server.adminUser}, password: { env: ADMIN } }
`;
  }

  /** A desk with everything declared and pushed, nothing applied. */
  async desk(more = '', channels = ''): Promise<Desk> {
    const { server, web } = this;
    const made = takeDesk({
      ADMIN: server.adminPassword,
      HOOK: `${web.url}/hook`,
      INITIAL: 'initial-app-value',
    });
    expect(await made.keyturn(['init', '--name', 'acme'])).toMatchObject({ code: 0 });
    later(made, 0);
    const project = made.read('keyturn.yaml').replace(', hour: 3, timezone: UTC', '');
    made.write('keyturn.yaml', `${project}${channels}`);
    for (const path of ['targets/db.yaml', 'roles/app.yaml', 'secrets/app-db.yaml'])
      made.write(`manifests/${path}`, '');
    made.write('manifests/target.yaml', this.targetManifest());
    made.write('manifests/app.yaml', appManifest(more));
    made.push('Declare');
    return made;
  }

  async accepts(value: string): Promise<boolean> {
    const client = new pg.Client({
      host: '127.0.0.1',
      port: this.server.port,
      user: 'app',
      password: value,
      database: 'postgres',
    });
    try {
      await client.connect();
      return true;
    } catch (error) {
      expect((error as { code?: string }).code).toBe('28P01');
      return false;
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  /** The row of the role: `xmin` changes with any write to it, even of the same values. */
  row(): Promise<unknown> {
    return this.server.query(
      "select xmin::text, ctid::text, rolpassword from pg_authid where rolname = 'app'",
    );
  }
}
