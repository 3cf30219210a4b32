/** Everything that can be known before a claim is pushed, without changing anything. */
import type { Preflight, Probe, RotationJob } from '../driver.ts';
import type { Session } from './connect.ts';
import { type Dialect, isAlternating, keepsCurrent, readable, type Server, type Sight } from './dialect.ts';
import { type AccountName, accountLiteral, accountText } from './sql.ts';

type Refusal = Extract<Preflight, { r: 'refused' }>;
type Has = (privilege: string) => boolean;

const refused = (why: Refusal['why'], detail: string, hint: string, code = 'PREFLIGHT'): Refusal => ({
  r: 'refused',
  why,
  code,
  detail,
  hint,
});

/** What needs no connection to be refused. */
export function refusedAtSight(job: RotationJob): Refusal | undefined {
  if (job.actor === 'target') {
    if (job.admin !== undefined) return undefined;
    return refused('permission', 'the target has no credentials', 'add spec.credentials to the target');
  }
  if (isAlternating(job)) {
    const hint = 'write authenticateAs: target, so that the user not in use can be changed and locked';
    return refused('unsupported', 'alternating users cannot change themselves', hint);
  }
  if (job.current !== undefined) return undefined;
  return refused(
    'bad-current',
    'there is no recorded value to log in with',
    'run keyturn adopt, or write authenticateAs: target',
  );
}

/** What a login that did not work means for the rotation. */
export function refusedLogin(login: Probe, job: RotationJob): Preflight {
  const { r, code, detail } = login;
  if (r === 'blocked') return { r: 'blocked', code, detail };
  if (r === 'unreachable' || r === 'ok') return { r: 'unreachable', code, detail };
  const self = job.actor === 'self';
  const who = self ? 'the account' : "the target's login";
  if (r === 'denied') {
    const hint = self
      ? 'run keyturn adopt with the value that is live'
      : "correct the password in the target's spec.credentials";
    return refused('bad-current', `${who} is not let in`, hint, code);
  }
  if (r === 'ok-restricted') {
    return refused(
      'permission',
      `${who} is expired or locked`,
      `renew and unlock ${who} at the server`,
      code,
    );
  }
  const hint = 'set account.host to the host part of the account that the server picks for this client';
  return refused('unsupported', detail, hint, code);
}

/** The checks over an open administrative session. `tryCurrent` is one login with the recorded value. */
export async function inspect(
  session: Session,
  dialect: Dialect,
  job: RotationJob,
  account: AccountName,
  tryCurrent: () => Promise<Probe>,
): Promise<Preflight> {
  const server = await dialect.server(session);
  const old = dialect.tooOld(server.version);
  if (old !== undefined) return refused('unsupported', old, 'upgrade the server');
  const has = privilegesOf(await session.once('SHOW GRANTS'));
  const lacking = lackingPrivilege(dialect, job, server, has);
  if (lacking !== undefined) return lacking;

  const warnings: string[] = [];
  const sight = await dialect.look(session, account, job.actor === 'self');
  if (job.actor === 'self') {
    const unfit = unfitAccount(dialect, account, sight, has) ?? secondWay(sight);
    if (unfit !== undefined) return unfit;
  } else {
    for (const username of job.account.usernames) {
      const each = { username, host: account.host };
      const seen = username === account.username ? sight : await dialect.look(session, each, false);
      const unfit = unfitAccount(dialect, each, seen, has);
      if (unfit !== undefined) return unfit;
    }
    if (sight.account === 'hidden')
      warnings.push('the login may not read mysql.global_priv: a lost answer costs a login attempt');
    if (await grantsDiffer(session, job, account)) warnings.push('alternating users have different grants');
    const baseline = await baselineLogin(job, server, sight, tryCurrent, warnings);
    if (baseline !== undefined) return baseline;
  }
  return {
    r: 'ready',
    server: `${dialect.product} ${/^[\d.]*\d/.exec(server.version)?.[0] ?? ''}`,
    baseline: dialect.baseline(sight),
    witness: job.actor === 'target' && sight.account === 'there',
    markedVersion: sight.mark?.uid === job.mark.uid ? sight.mark.version : null,
    warnings,
  };
}

function lackingPrivilege(dialect: Dialect, job: RotationJob, server: Server, has: Has): Refusal | undefined {
  const mayWrite =
    server.readOnly === 'no' || (server.readOnly === 'yes' && dialect.writesWhenReadOnly.some(has));
  if (!mayWrite) {
    return refused('readonly', 'the server is read-only', "point the target's host at the writer");
  }
  if (keepsCurrent(job) && server.remembers) {
    const hint = 'write two alternating users, or grace: 0s';
    return refused(
      'unsupported',
      'the server refuses every value that was set before, so none can be kept',
      hint,
    );
  }
  if (job.actor === 'target') {
    if (has('CREATE USER')) return undefined;
    const hint = `GRANT CREATE USER ON *.* TO the target's login ${server.currentUser}`;
    return refused('permission', "the target's login may not change accounts", hint);
  }
  if (!keepsCurrent(job)) return undefined;
  if (dialect.selfRetain === undefined) {
    const hint = 'write authenticateAs: target, or two alternating users, or grace: 0s';
    return refused('unsupported', `an account of ${dialect.product} cannot keep its own old password`, hint);
  }
  if (has(dialect.selfRetain) || has('CREATE USER')) return undefined;
  const hint = `GRANT ${dialect.selfRetain} ON *.* TO ${server.currentUser}, or write authenticateAs: target`;
  return refused('permission', 'the account may not keep its own old password', hint);
}

function unfitAccount(dialect: Dialect, account: AccountName, sight: Sight, has: Has): Refusal | undefined {
  const name = accountText(account);
  if (sight.account === 'missing') {
    const hint =
      'create it, or correct account.username and account.host; an account with SYSTEM_USER is shown only to one like it';
    return refused('no-account', `there is no account ${name}`, hint);
  }
  const odd = sight.plugins.find((plugin) => !dialect.plugins.includes(plugin));
  if (odd !== undefined) {
    const hint = `let it log in by ${dialect.plugins.join(' or ')} alone`;
    return refused('unsupported', `${name} logs in by a method that keyturn cannot verify`, hint);
  }
  if (sight.systemUser && !has('SYSTEM_USER')) {
    return refused('permission', `${name} has SYSTEM_USER`, "GRANT SYSTEM_USER ON *.* TO the target's login");
  }
  return undefined;
}

/** MariaDB's `SET PASSWORD` changes the first way to log in; a second one would stay valid unnoticed. */
function secondWay({ plugins }: Sight): Refusal | undefined {
  if (plugins.length < 2) return undefined;
  const hint = 'write authenticateAs: target, which takes the other ways away';
  return refused('unsupported', 'the account has several ways to log in and changes only one itself', hint);
}

/** Logs in with the recorded value where one more failure blocks nobody (protocol §3.1: two attempts must be left). */
async function baselineLogin(
  job: RotationJob,
  server: Server,
  sight: Sight,
  tryCurrent: () => Promise<Probe>,
  warnings: string[],
): Promise<Preflight | undefined> {
  if (job.current === undefined) return undefined;
  const limit = Math.min(
    sight.failedLoginLimit ?? Number.POSITIVE_INFINITY,
    server.failedLoginLimit ?? Number.POSITIVE_INFINITY,
  );
  if (limit < 3) {
    warnings.push('the recorded value was not tried: a failure might block the account');
    return undefined;
  }
  const login = await tryCurrent();
  if (login.r === 'ok') return undefined;
  if (login.r === 'denied') {
    // An alternating user that is not in use may well be locked or stale; so may one that somebody changed.
    warnings.push('the recorded value is not accepted: somebody else changed it');
    return undefined;
  }
  if (login.r === 'ok-restricted') {
    if (!isAlternating(job))
      warnings.push('the recorded value is right, but the account is expired or locked');
    return undefined;
  }
  return refusedLogin(login, job);
}

/** Reads `SHOW GRANTS`, which lists the privileges of active roles too. */
export function privilegesOf(rows: readonly Record<string, unknown>[]): Has {
  const global = new Set<string>();
  for (const line of rows.flatMap((row) => Object.values(row).map(String))) {
    const [, list = '', where = ''] = /^GRANT (.+?) ON (\S+) TO /.exec(line) ?? [];
    if (where === '*.*') for (const privilege of list.split(/,\s*/)) global.add(privilege.toUpperCase());
  }
  return (privilege) => global.has(privilege) || global.has('ALL PRIVILEGES');
}

async function grantsDiffer(session: Session, job: RotationJob, { host }: AccountName): Promise<boolean> {
  const [first, second] = job.account.usernames;
  if (second === undefined) return false;
  const shapes: string[] = [];
  for (const username of [first, second]) {
    const rows = await readable(session, `SHOW GRANTS FOR ${accountLiteral({ username, host })}`);
    if (rows === undefined) return false;
    const lines = rows.flatMap((row) => Object.values(row).map(String));
    shapes.push(
      lines
        .map((line) => line.replace(/ (TO|FOR) [`'"].*$/, ''))
        .sort()
        .join('\n'),
    );
  }
  return shapes[0] !== shapes[1];
}
