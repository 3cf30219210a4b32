import type { Secret } from '../../secret.ts';
import type {
  ChosenRotator,
  Credentials,
  Preflight,
  Probe,
  RetireResult,
  RotationJob,
  SetResult,
} from '../driver.ts';
import { release, spareOf } from '../spare.ts';
import { classifyLogin, classifySet, classifyUnsent, failureOf, MysqlFailure } from './classify.ts';
import { connect, type Session } from './connect.ts';
import { type Dialect, isAlternating, keepsCurrent, type Verdict } from './dialect.ts';
import { mariadb } from './dialect-mariadb.ts';
import { oracle } from './dialect-oracle.ts';
import { inspect, refusedAtSight, refusedLogin } from './preflight.ts';
import { type AccountName, accountLiteral, isSameAccount, isSendable } from './sql.ts';

type Login = { session: Session } | { failed: Probe };

const dialectOf = (session: Session): Dialect => (session.flavour === 'mariadb' ? mariadb : oracle);

/** MariaDB hides a refusing policy (1819) behind 1396; the statement's warnings still name it. */
async function reasonOf(failure: MysqlFailure, session: Session): Promise<MysqlFailure> {
  if (failure.errno !== 1396) return failure;
  const rows = await session.query('SHOW WARNINGS').catch(() => []);
  return rows.some((row) => Number(row.Code) === 1819)
    ? new MysqlFailure(1819, '1819', session.flavour)
    : failure;
}

/** False once the server has ended the connection, which a statement that changes something must not find out. */
async function isAlive(session: Session): Promise<boolean> {
  if (!session.open) return false;
  const answered = await session.query('DO 0').then(
    () => true,
    () => false,
  );
  if (!answered) session.close();
  return answered;
}

/** One account's rotation over at most one administrative connection, made on first use. */
export class MysqlRotator implements ChosenRotator {
  readonly #job: RotationJob;
  readonly #account: AccountName;
  #session: Session | undefined;

  constructor(job: RotationJob) {
    this.#job = job;
    this.#account = { username: job.username, host: job.host ?? '%' };
  }

  async preflight(): Promise<Preflight> {
    const job = this.#job;
    const refusal = refusedAtSight(job);
    if (refusal !== undefined) return refusal;
    const login = await this.#administrative(job.current);
    if ('failed' in login) return refusedLogin(login.failed, job);
    const { session } = login;
    const { current } = job;
    const tryCurrent = async (): Promise<Probe> =>
      current === undefined
        ? { r: 'inconclusive', code: 'NO_VALUE', detail: 'no value' }
        : this.probe(current);
    try {
      return await inspect(session, dialectOf(session), job, this.#account, tryCurrent);
    } catch (error) {
      const { code } = failureOf(error, session.flavour);
      return { r: 'unreachable', code, detail: 'the server did not answer a question about the account' };
    }
  }

  async witness(value: Secret, baseline: Record<string, string>): Promise<Verdict> {
    // Only an administrator sees what is stored; an account's own login proves nothing about another value.
    if (this.#job.actor === 'self') return 'unknown';
    const login = await this.#administrative(undefined);
    if ('failed' in login) return 'unknown';
    const dialect = dialectOf(login.session);
    try {
      const sight = await dialect.look(login.session, this.#account, false);
      return dialect.verdict(sight, value.reveal(), this.#job, baseline);
    } catch {
      return 'unknown';
    }
  }

  async probe(value: Secret): Promise<Probe> {
    const { target, username } = this.#job;
    const login = await this.#login(target.verifyHost ?? target.host, { username, password: value });
    if ('failed' in login) return login.failed;
    login.session.close();
    return { r: 'ok', code: 'OK', detail: 'logged in' };
  }

  async set(value: Secret, baseline: Record<string, string>): Promise<SetResult> {
    const job = this.#job;
    const text = value.reveal();
    if (!isSendable(text, job.target)) {
      return {
        r: 'refused',
        why: 'policy',
        code: 'ALPHABET',
        detail: 'the value has symbols that are never sent, or a wrong length',
      };
    }
    const refusal = refusedAtSight(job);
    if (refusal !== undefined) {
      const why = refusal.why === 'bad-current' ? 'bad-current' : 'permission';
      return { r: 'refused', why, code: refusal.code, detail: refusal.detail };
    }
    const login = await this.#administrative(job.current);
    if ('failed' in login) return classifyUnsent(login.failed);
    const { session } = login;
    const dialect = dialectOf(session);

    if (job.actor === 'target' && keepsCurrent(job) && dialect.retainLooksFirst) {
      const seen = await this.#look(session, dialect, text, baseline);
      if (seen !== undefined) return seen;
    }
    if (job.actor === 'self' && keepsCurrent(job) && dialect.selfRetain === undefined) {
      return {
        r: 'refused',
        why: 'permission',
        code: 'RETAIN',
        detail: 'the account cannot keep its own old password',
      };
    }
    let statement: string;
    try {
      statement = await dialect.change(session, job, this.#account, text);
    } catch (error) {
      return classifyUnsent(classifyLogin(failureOf(error, session.flavour)));
    }
    try {
      await session.query(statement);
      return { r: 'applied', code: 'OK', detail: 'the server took it' };
    } catch (error) {
      return classifySet(await reasonOf(failureOf(error, session.flavour), session));
    }
  }

  async retire(live: Secret | undefined): Promise<RetireResult> {
    const job = this.#job;
    const mayLock = job.actor === 'target' && (isAlternating(job) || job.givenUp === true);
    if (live === undefined && !mayLock) {
      return { r: 'refused', code: 'ONLY_USER', detail: 'only a user of an alternating pair is ever locked' };
    }
    const login = await this.#administrative(live);
    if ('failed' in login) {
      const { r, code, detail } = login.failed;
      return { r: r === 'unreachable' ? 'unreachable' : 'refused', code, detail };
    }
    const { session } = login;
    try {
      const sql =
        live === undefined
          ? `ALTER USER ${accountLiteral(this.#account)} ACCOUNT LOCK`
          : await this.#discard(session, live);
      if (typeof sql === 'string') await session.query(sql);
      else if (sql.no !== undefined) return { r: 'refused', code: 'NOT_LIVE', detail: sql.no };
      return { r: 'retired', code: 'OK', detail: 'nothing else is accepted' };
    } catch (error) {
      const result = classifySet(failureOf(error, session.flavour));
      const { code, detail } = result;
      return { r: result.r === 'refused' ? 'refused' : 'unreachable', code, detail };
    }
  }

  async close(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await release(this.#job, session, session?.open === true);
  }

  async #discard(session: Session, live: Secret): Promise<string | { no: string | undefined }> {
    const dialect = dialectOf(session);
    const sight = await dialect.look(session, this.#account, this.#job.actor === 'self');
    const step = await dialect.retire(session, this.#job, this.#account, live.reveal(), sight);
    if (step === 'done') return { no: undefined };
    return 'sql' in step ? step.sql : step;
  }

  /** What to answer without setting: it is live already, or whether it is cannot be known. */
  async #look(
    session: Session,
    dialect: Dialect,
    value: string,
    baseline: Record<string, string>,
  ): Promise<SetResult | undefined> {
    try {
      const sight = await dialect.look(session, this.#account, this.#job.actor === 'self');
      if (sight.account === 'missing') {
        return {
          r: 'refused',
          why: 'no-account',
          code: 'NO_ACCOUNT',
          detail: 'there is no such account, or it may not be looked at',
        };
      }
      if (dialect.verdict(sight, value, this.#job, baseline) !== 'applied') return undefined;
      return { r: 'applied', code: 'MARKED', detail: 'the server has it already' };
    } catch (error) {
      const { code } = failureOf(error, session.flavour);
      return { r: 'not-sent', code, detail: 'the server did not say whether it has the value already' };
    }
  }

  /** The kept connection: the target's login, or the account's own with `own`. */
  async #administrative(own: Secret | undefined): Promise<Login> {
    if (this.#session?.open) return { session: this.#session };
    const { actor, admin, target, username } = this.#job;
    const kept = spareOf<Session>(this.#job);
    if (kept !== undefined && (await isAlive(kept))) {
      this.#session = kept;
      return { session: kept };
    }
    const credentials = actor === 'target' ? admin : own && { username, password: own };
    if (credentials === undefined) {
      return { failed: { r: 'denied', code: 'NO_VALUE', detail: 'there is nothing to log in with' } };
    }
    const login = await this.#login(target.host, credentials);
    if ('session' in login) this.#session = login.session;
    return login;
  }

  /** Exactly one attempt. As the account itself, it must be the very `user@host`: the server picks by address (T10). */
  async #login(host: string, credentials: Credentials): Promise<Login> {
    let session: Session | undefined;
    try {
      session = await connect(this.#job.target, host, credentials);
      if (credentials === this.#job.admin) return { session };
      const [row] = await session.query('SELECT CURRENT_USER() u');
      if (isSameAccount(String(row?.u), this.#account)) return { session };
      session.close();
      return {
        failed: {
          r: 'inconclusive',
          code: 'OTHER_ACCOUNT',
          detail: 'the server took the login for another user@host',
        },
      };
    } catch (error) {
      session?.close();
      return { failed: classifyLogin(failureOf(error, 'mysql')) };
    }
  }
}
