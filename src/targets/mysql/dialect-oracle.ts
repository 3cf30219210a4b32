import type { RotationJob } from '../driver.ts';
import { type Dialect, isAlternating, jsonOf, keepsCurrent, readable, type Sight } from './dialect.ts';
import { accountLiteral, quote } from './sql.ts';

/**
 * Oracle's MySQL from 8.0.21. The account's ATTRIBUTE is set by the very statement that sets the value,
 * so it is an atomic witness (T5); RETAIN keeps the previous value as a second one.
 */
export const oracle: Dialect = {
  product: 'MySQL',
  writesWhenReadOnly: ['SUPER', 'CONNECTION_ADMIN'],
  plugins: ['caching_sha2_password', 'sha256_password', 'mysql_native_password'],
  selfRetain: 'APPLICATION_PASSWORD_ADMIN',
  retainLooksFirst: true,

  tooOld: (version) => (isAtLeast(version, [8, 0, 21]) ? undefined : 'needs MySQL 8.0.21 or newer'),

  async server(session) {
    const sql = 'SELECT VERSION() v, CURRENT_USER() u, @@global.read_only r, @@global.super_read_only s';
    const [row = {}] = await session.once(sql);
    return {
      version: String(row.v),
      remembers: false,
      currentUser: String(row.u),
      readOnly: String(row.s) !== '0' ? 'super' : String(row.r) !== '0' ? 'yes' : 'no',
      failedLoginLimit: undefined,
    };
  },

  async look(session, { username, host }) {
    const mine = `USER=${quote(username)} AND HOST=${quote(host)}`;
    const [seen] = await session.query(
      `SELECT ATTRIBUTE a FROM information_schema.user_attributes WHERE ${mine}`,
    );
    const stored = await readable(
      session,
      `SELECT plugin p, User_attributes a FROM mysql.user WHERE ${mine}`,
    );
    const system = await readable(
      session,
      `SELECT 1 FROM mysql.global_grants WHERE ${mine} AND PRIV='SYSTEM_USER'`,
    );
    const locking = jsonOf(jsonOf(stored?.[0]?.a).Password_locking);
    const limit = Number(locking.failed_login_attempts ?? 0);
    return {
      account: seen === undefined ? 'missing' : 'there',
      plugins: stored?.[0] === undefined ? [] : [String(stored[0].p)],
      mark: markOf(seen?.a),
      hashes: [],
      failedLoginLimit: limit > 0 ? limit : undefined,
      systemUser: system?.[0] !== undefined,
    };
  },

  baseline: ({ mark }) => ({ mark: markText(mark) }),

  verdict(sight, _value, { mark, actor }, baseline) {
    if (actor === 'self' || sight.account !== 'there') return 'unknown';
    const seen = markText(sight.mark);
    if (seen === markText(mark)) return 'applied';
    return seen === baseline.mark ? 'not-applied' : 'unknown';
  },

  async change(_session, job, account, value) {
    const retain = keepsCurrent(job) ? ' RETAIN CURRENT PASSWORD' : '';
    const unlock = isAlternating(job) ? ' ACCOUNT UNLOCK' : '';
    const { uid, version } = job.mark;
    const attribute = JSON.stringify({ keyturn: { uid, v: version } });
    const self = job.actor === 'self';
    const whom = self ? 'USER()' : accountLiteral(account);
    const old = self ? ` REPLACE ${quote(job.current?.reveal() ?? '')}` : '';
    const rest = self ? '' : `${unlock} ATTRIBUTE ${quote(attribute)}`;
    return `ALTER USER ${whom} IDENTIFIED BY ${quote(value)}${old}${retain}${rest}`;
  },

  async retire(_session, job, account, _live, { mark }) {
    if (mark?.uid === job.mark.uid && mark.version > job.mark.version) {
      return { no: 'a newer version is set, and the second value may be the one in use' };
    }
    return {
      sql: `ALTER USER ${job.actor === 'self' ? 'USER()' : accountLiteral(account)} DISCARD OLD PASSWORD`,
    };
  },
};

function markOf(attribute: unknown): Sight['mark'] {
  const { uid, v } = jsonOf(jsonOf(attribute).keyturn);
  return typeof uid === 'string' && typeof v === 'number' ? { uid, version: v } : undefined;
}

const markText = (mark: RotationJob['mark'] | undefined): string =>
  mark === undefined ? 'none' : `${mark.uid} ${mark.version}`;

/** Compares the leading numbers of `9.7.4-2`. */
export function isAtLeast(version: string, least: readonly number[]): boolean {
  const parts = version.split(/[.-]/).map(Number);
  for (const [index, wanted] of least.entries()) {
    const part = parts[index] ?? 0;
    if (part !== wanted) return part > wanted;
  }
  return true;
}
