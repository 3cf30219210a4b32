import { createHash, timingSafeEqual } from 'node:crypto';
import type { Session } from './connect.ts';
import { type Dialect, isAlternating, jsonOf, keepsCurrent, readable } from './dialect.ts';
import { isAtLeast } from './dialect-oracle.ts';
import { type AccountName, accountLiteral, quote } from './sql.ts';

/**
 * MariaDB from 10.4. `mysql.global_priv` holds what `mysql_native_password` stores, which is computed here,
 * so it is an exact witness; an account that logs in `VIA a OR b` has two values at once.
 */
export const mariadb: Dialect = {
  product: 'MariaDB',
  writesWhenReadOnly: ['READ_ONLY ADMIN', 'READ ONLY ADMIN'],
  // mysql2 cannot log in by ed25519 or parsec, so a value set for them could not be verified.
  plugins: ['mysql_native_password'],
  selfRetain: undefined,
  retainLooksFirst: false,

  tooOld: (version) => (isAtLeast(version, [10, 4, 0]) ? undefined : 'needs MariaDB 10.4 or newer'),

  async server(session) {
    const sql = 'SELECT VERSION() v, CURRENT_USER() u, @@global.read_only r, @@global.max_password_errors m';
    const [row = {}] = await session.once(sql);
    return {
      version: String(row.v).replace(/^5\.5\.5-/, ''),
      remembers: (await judges(session)).includes('password_reuse_check'),
      currentUser: String(row.u),
      readOnly: ['0', 'OFF'].includes(String(row.r)) ? 'no' : 'yes',
      failedLoginLimit: Number(row.m),
    };
  },

  async look(session, { username, host }, own) {
    const mine = `User=${quote(username)} AND Host=${quote(host)}`;
    const rows = own
      ? await session.query('SHOW CREATE USER')
      : await readable(session, `SELECT Priv p FROM mysql.global_priv WHERE ${mine}`);
    const [row] = rows ?? [];
    const ways = row === undefined ? [] : own ? waysIn(String(Object.values(row)[0])) : waysOf(jsonOf(row.p));
    return {
      account: rows === undefined ? 'hidden' : row === undefined ? 'missing' : 'there',
      plugins: ways.map(({ plugin }) => plugin),
      mark: undefined,
      hashes: ways.map(({ stored }) => stored),
      failedLoginLimit: undefined,
      systemUser: false,
    };
  },

  baseline: () => ({}),

  verdict(sight, value) {
    if (sight.account !== 'there') return 'unknown';
    return sight.hashes.some((stored) => isStored(stored, value)) ? 'applied' : 'not-applied';
  },

  async change(session, job, account, value) {
    const literal = await literalFor(session);
    if (job.actor === 'self') return `SET PASSWORD = ${literal(value)}`;
    const kept = keepsCurrent(job) && job.current !== undefined ? [job.current.reveal()] : [];
    const unlock = isAlternating(job) ? ' ACCOUNT UNLOCK' : '';
    return `${identified(account, [value, ...kept], literal)}${unlock}`;
  },

  async retire(session, job, account, live, sight) {
    if (sight.account === 'there') {
      if (!sight.hashes.some((stored) => isStored(stored, live)))
        return { no: 'the value to keep is not live' };
      if (sight.hashes.length === 1) return 'done';
    }
    if (job.actor === 'self') return { no: 'an account cannot take away its own second way to log in' };
    return { sql: identified(account, [live], await literalFor(session)) };
  },
};

type Literal = (value: string) => string;

/**
 * MariaDB writes statements into its logs as they came, so what travels is the hash that it would store.
 * Where plugins judge new passwords they must see the value (and refuse a hash, `strict_password_validation`).
 */
async function literalFor(session: Session): Promise<Literal> {
  const judged = (await judges(session)).length > 0;
  return judged ? (value) => `PASSWORD(${quote(value)})` : (value) => quote(hashOf(value));
}

/** Names of the plugins that judge new passwords. */
async function judges(session: Session): Promise<string[]> {
  const rows = await session.once(
    "SELECT PLUGIN_NAME n FROM information_schema.plugins WHERE PLUGIN_TYPE='PASSWORD VALIDATION' AND PLUGIN_STATUS='ACTIVE'",
  );
  return rows.map(({ n }) => String(n).toLowerCase());
}

function identified(account: AccountName, values: string[], literal: Literal): string {
  const ways = values.map((value) => `mysql_native_password USING ${literal(value)}`);
  return `ALTER USER ${accountLiteral(account)} IDENTIFIED VIA ${ways.join(' OR ')}`;
}

/** The ways to log in that `SHOW CREATE USER` lists. */
function waysIn(statement: string): { plugin: string; stored: string }[] {
  const via = [...statement.matchAll(/(?: IDENTIFIED VIA| OR) (\w+)(?: USING '([^']*)')?/g)];
  if (via.length > 0) return via.map(([, plugin = '', stored = '']) => ({ plugin, stored }));
  const [, stored = ''] = / IDENTIFIED BY PASSWORD '([^']*)'/.exec(statement) ?? [];
  return [{ plugin: 'mysql_native_password', stored }];
}

/** The ways to log in, `{}` in `auth_or` standing for the top one. */
function waysOf(priv: Record<string, unknown>): { plugin: string; stored: string }[] {
  const others = Array.isArray(priv.auth_or) ? priv.auth_or.map(jsonOf) : [{}];
  return others.map((way) => {
    const from = way.plugin === undefined ? priv : way;
    return { plugin: String(from.plugin), stored: String(from.authentication_string ?? '') };
  });
}

/** What `mysql_native_password` stores: `*HEX(SHA1(SHA1(value)))`. */
function hashOf(value: string): string {
  const sha1 = (bytes: string | Buffer) => createHash('sha1').update(bytes).digest();
  return `*${sha1(sha1(value)).toString('hex').toUpperCase()}`;
}

function isStored(stored: string, value: string): boolean {
  const expected = Buffer.from(hashOf(value));
  const actual = Buffer.from(stored.toUpperCase());
  return actual.length === expected.length && timingSafeEqual(actual, expected);
}
