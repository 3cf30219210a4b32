import type { Outcome, Preflight, RotationJob } from '../driver.ts';
import type { Session } from './connect.ts';

/** What the login may see of the role that is to be rotated, and of itself. */
export interface Facts {
  server: string;
  readonly: boolean;
  /** `session_user` and `current_user` are this name. */
  self: string | undefined;
  /** The login may read `pg_authid.rolpassword`: the exact witness. */
  readable: boolean;
  exists: boolean;
  canLogin: boolean;
  /** `VALID UNTIL` is past: the server refuses every password, the right one too. */
  expired: boolean;
  mayAlter: boolean;
  scram: boolean;
}

type Refusal = Extract<Preflight, { r: 'refused' }>;

const facts = `
  SELECT current_setting('server_version') AS server,
         current_setting('server_version_num')::int >= 100000 AS scram,
         current_setting('transaction_read_only') = 'on' AS readonly,
         CASE WHEN session_user = current_user THEN current_user::text END AS self,
         has_column_privilege('pg_catalog.pg_authid', 'rolpassword', 'SELECT') AS readable,
         r.oid IS NOT NULL AS found,
         coalesce(r.rolcanlogin, false) AS can_login,
         coalesce(r.rolvaliduntil < now(), false) AS expired,
         coalesce(me.rolsuper OR r.oid = me.oid OR (me.rolcreaterole AND NOT r.rolsuper AND CASE
           WHEN current_setting('server_version_num')::int >= 160000
           THEN pg_has_role(me.oid, r.oid, 'USAGE WITH ADMIN OPTION')
           ELSE NOT r.rolreplication END), false) AS may_alter
    FROM pg_roles me LEFT JOIN pg_roles r ON r.rolname::text = $1::text
   WHERE me.rolname = current_user`;

export async function readFacts(session: Session, username: string): Promise<Facts> {
  const [row = {}] = await session.query(facts, [username]);
  return {
    server: `PostgreSQL ${String(row.server).split(' ')[0]}`,
    readonly: row.readonly === true,
    self: typeof row.self === 'string' ? row.self : undefined,
    readable: row.readable === true,
    exists: row.found === true,
    canLogin: row.can_login === true,
    expired: row.expired === true,
    mayAlter: row.may_alter === true,
    scram: row.scram === true,
  };
}

/** Why no server could do this job; asks nobody. */
export function impossible(job: RotationJob): Refusal | undefined {
  const pair = job.account.usernames.length === 2;
  if (job.retain && !pair)
    return refused('unsupported', 'NO_OVERLAP', 'a PostgreSQL role has one password', {
      hint: 'let two roles alternate: `usernames: [a, b]`, both members of one owner role; or set `grace: 0`',
    });
  if (pair && job.actor === 'self')
    return refused(
      'unsupported',
      'NEEDS_TARGET',
      'the role that is not in use cannot log in to change itself',
      {
        hint: 'set `authenticateAs: target` for roles that alternate',
      },
    );
  if (job.actor === 'target' && job.admin === undefined)
    return refused('unsupported', 'NO_CREDENTIALS', 'the target has no credentials to change the role with', {
      hint: 'give the target `credentials`, or set `authenticateAs: user`',
    });
  if (job.actor === 'self' && job.current === undefined)
    return refused('bad-current', 'NO_CURRENT', 'no password is recorded that the role could log in with', {
      hint: 'give it as `initial`, or set `authenticateAs: target`',
    });
  return undefined;
}

/** Why this server would not do it, with what to type there. */
export function objection(
  job: RotationJob,
  seen: Facts,
  quote: (name: string) => string,
): Refusal | undefined {
  const role = quote(job.username);
  if (!seen.scram)
    return refused('unsupported', 'OLD_SERVER', 'the server knows no SCRAM-SHA-256', {
      hint: 'upgrade to PostgreSQL 10 or newer',
    });
  if (seen.readonly)
    return refused('readonly', 'READ_ONLY', 'the server is read-only', {
      hint: 'point `host` at the primary; a standby, or default_transaction_read_only, takes no change',
    });
  if (!seen.exists)
    return refused('no-account', 'NO_ROLE', 'the role does not exist', { hint: `CREATE ROLE ${role} LOGIN` });
  if (job.actor === 'self' && seen.self !== job.username)
    return refused('unsupported', 'OTHER_ROLE', 'the login ends up as another role', {
      hint: `ALTER ROLE ${role} RESET role`,
    });
  if (!seen.canLogin)
    return refused('unsupported', 'NOLOGIN', 'the role may not log in', { hint: `ALTER ROLE ${role} LOGIN` });
  if (!seen.mayAlter)
    return refused('permission', '42501', 'the login may not change this role', {
      hint: `give it CREATEROLE and, since PostgreSQL 16, GRANT ${role} TO the login WITH ADMIN OPTION; a superuser's password takes a superuser`,
    });
  return undefined;
}

const refused = (why: Refusal['why'], code: string, detail: string, { hint }: { hint: string }): Refusal => ({
  r: 'refused',
  why,
  hint,
  ...({ code, detail } satisfies Outcome),
});

const rights = `
  SELECT r.rolname::text AS name,
         to_jsonb(r) - 'oid' - 'rolname' - 'rolpassword' AS attributes,
         (SELECT array_agg(m.roleid::bigint ORDER BY m.roleid) FROM pg_auth_members m WHERE m.member = r.oid) AS memberships,
         (SELECT array_agg(concat_ws('/', d.dbid, d.classid, d.objid, d.objsubid) ORDER BY d.dbid, d.classid, d.objid, d.objsubid)
            FROM pg_shdepend d WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid AND d.deptype = 'a') AS grants,
         EXISTS (SELECT FROM pg_shdepend d WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid AND d.deptype = 'o') AS owner
    FROM pg_roles r WHERE r.rolname::text = ANY ($1::text[])`;

/** How the two roles of a pair differ in what they may do: an application would notice after the switch. */
export async function pairWarnings(session: Session, usernames: readonly string[]): Promise<string[]> {
  const rows = await session.query(rights, [[...usernames]]);
  const missing = usernames.find((username) => !rows.some((row) => row.name === username));
  if (missing !== undefined) return [`the other role of the pair, ${missing}, does not exist`];
  const [one = {}, other = {}] = rows;
  const differ = (column: string) => JSON.stringify(one[column]) !== JSON.stringify(other[column]);
  return [
    ...(differ('attributes') ? ['alternating roles have different attributes'] : []),
    ...(differ('memberships') ? ['alternating roles are members of different roles'] : []),
    ...(differ('grants') ? ['alternating roles have different grants of their own'] : []),
    ...(one.owner === true || other.owner === true
      ? ['an alternating role owns objects: give them to a role that both are members of']
      : []),
  ];
}
