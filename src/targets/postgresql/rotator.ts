import type { Secret } from '../../secret.ts';
import type { ChosenRotator, Credentials, Preflight, Probe, RotationJob, SetResult } from '../driver.ts';
import { release, spareOf } from '../spare.ts';
import {
  loginFailure,
  notAsked,
  preflightFailure,
  probeFailure,
  retireFailure,
  setFailure,
} from './classify.ts';
import { connect, type Failure, mostIterations, PgFailure, type Session } from './connect.ts';
import { impossible, objection, pairWarnings, readFacts } from './preflight.ts';
import { matches, scramVerifier } from './scram.ts';

const defaultIterations = 4096;

/** Rotates one role's password: only a SCRAM verifier of the value ever reaches the server. */
export function createRotator(job: RotationJob, allows: (value: string) => boolean): ChosenRotator {
  const { target, username } = job;
  const pair = job.account.usernames.length === 2;
  let held: Session | undefined;

  /** The administrative session, or for `self` the account's own, with the value that is live; throws `PgFailure`. */
  const session = async (own = job.current): Promise<Session> => {
    if (held?.alive) return held;
    const kept = spareOf<Session>(job);
    if (kept && (await isAlive(kept))) {
      held = kept;
      return kept;
    }
    const opened = await connect(target, target.host, loginOf(job, own));
    held = opened;
    // The server itself gives up on a statement: one that hangs on a lock must not come to life after we left.
    await opened.query(
      "SELECT pg_catalog.set_config('search_path', 'pg_catalog', false), pg_catalog.set_config('statement_timeout', $1, false)",
      [String(target.timeout)],
    );
    return opened;
  };
  const stored = async (open: Session): Promise<string | null | undefined> => {
    const [row] = await open.query('SELECT rolpassword FROM pg_authid WHERE rolname::text = $1::text', [
      username,
    ]);
    if (row === undefined) return undefined;
    return typeof row.rolpassword === 'string' ? row.rolpassword : null;
  };

  const witness = async (value: Secret): Promise<'applied' | 'not-applied' | 'unknown'> => {
    // As the role itself it takes a login, with a value that a lost answer may have made wrong: a password attempt.
    if (job.actor === 'self' && !held?.alive) return 'unknown';
    try {
      const open = await session();
      if (!(await readFacts(open, username)).readable) return 'unknown';
      const verifier = await stored(open);
      if (verifier === null) return 'not-applied';
      const same = verifier === undefined ? undefined : await matches(verifier, value.reveal(), username);
      if (same === undefined) return 'unknown';
      return same ? 'applied' : 'not-applied';
    } catch (error) {
      failureOf(error);
      return 'unknown';
    }
  };

  const probe = async (value: Secret): Promise<Probe> => {
    let open: Session | undefined;
    try {
      open = await connect(target, target.verifyHost ?? target.host, { username, password: value });
      if (!open.asked) return notAsked;
      const [row] = await open.query('SELECT session_user::text AS session, current_user::text AS effective');
      if (row?.session === username && row.effective === username)
        return { r: 'ok', code: 'OK', detail: 'logged in as the role' };
      return { r: 'inconclusive', code: 'OTHER_ROLE', detail: 'the login ends up as another role' };
    } catch (error) {
      const answer = probeFailure(failureOf(error));
      return answer.r === 'denied' ? await expiryExplains(answer, value) : answer;
    } finally {
      await open?.close();
    }
  };

  /** Past its `VALID UNTIL` a role is denied with the right value too. Asks only where a session is open already. */
  const expiryExplains = async (denied: Probe, value: Secret): Promise<Probe> => {
    if (!held?.alive) return denied;
    try {
      if (!(await readFacts(held, username)).expired) return denied;
    } catch (error) {
      failureOf(error);
      return denied;
    }
    const detail = "the role's VALID UNTIL is past, so every password is refused";
    const known = await witness(value);
    if (known === 'applied') return { r: 'ok-restricted', code: denied.code, detail };
    return { r: known === 'unknown' ? 'inconclusive' : 'denied', code: denied.code, detail };
  };

  const preflight = async (): Promise<Preflight> => {
    const never = impossible(job);
    if (never !== undefined) return never;
    let open: Session;
    try {
      open = await session();
    } catch (error) {
      return loginRefused(job, loginFailure(failureOf(error)));
    }
    try {
      const seen = await readFacts(open, username);
      const objected = objection(job, seen, open.quote);
      if (objected !== undefined) return objected;
      const warnings: string[] = [];
      if (seen.expired) warnings.push("the role's VALID UNTIL is past: it cannot log in with any password");
      if (seen.readable && (await stored(open))?.startsWith('md5'))
        warnings.push('the role moves from md5 to SCRAM-SHA-256: clients must know it');
      if (pair) warnings.push(...(await pairWarnings(open, job.account.usernames)));
      if (job.actor === 'target' && job.current !== undefined) {
        const login = await probe(job.current);
        if (login.r === 'unreachable') return login;
        if (login.r === 'denied') warnings.push('the recorded value is not accepted');
        else if (login.r !== 'ok') warnings.push(login.detail);
      }
      const { server, readable } = seen;
      return {
        r: 'ready',
        server,
        baseline: {},
        witness: readable,
        markedVersion: null,
        warnings: [...new Set(warnings)],
      };
    } catch (error) {
      return preflightFailure(failureOf(error));
    }
  };

  const set = async (value: Secret): Promise<SetResult> => {
    if (!allows(value.reveal()))
      return {
        r: 'refused',
        why: 'policy',
        code: 'ALPHABET',
        detail: 'the value has a character or length not allowed here',
      };
    const never = impossible({ ...job, retain: false });
    if (never !== undefined) {
      const why = never.why === 'bad-current' ? 'bad-current' : 'permission';
      return { r: 'refused', why, code: never.code, detail: never.detail };
    }
    let statement: string;
    let open: Session;
    try {
      open = await session();
      const [row] = await open.query(
        "SELECT current_setting('scram_iterations', true)::int AS iterations, current_user::text AS me",
      );
      if (job.actor === 'self' && row?.me !== username)
        return {
          r: 'refused',
          why: 'permission',
          code: 'OTHER_ROLE',
          detail: 'the login ends up as another role',
        };
      const asked = typeof row?.iterations === 'number' ? row.iterations : defaultIterations;
      const verifier = await scramVerifier(value.reveal(), Math.min(asked, mostIterations));
      // The role's name also for `self`: CURRENT_USER would follow a SET ROLE to somebody else's password.
      statement = `ALTER ROLE ${open.quote(username)} PASSWORD '${verifier}'`;
    } catch (error) {
      const answer = loginFailure(failureOf(error));
      return answer.r === 'refused' ? answer : { ...answer, r: 'not-sent' };
    }
    try {
      await open.query(statement);
      return { r: 'applied', code: 'OK', detail: 'the server took the verifier' };
    } catch (error) {
      return setFailure(failureOf(error));
    }
  };

  return {
    preflight,
    witness,
    probe,
    set,
    async retire(live) {
      if (live === undefined && !pair && job.givenUp !== true)
        return { r: 'refused', code: 'IN_USE', detail: 'the only role of the account is in use' };
      let open: Session;
      try {
        open = await session(live);
      } catch (error) {
        const { r, code, detail } = loginFailure(failureOf(error));
        return { r, code, detail };
      }
      if (live !== undefined) return { r: 'retired', code: 'OK', detail: 'a role has one password' };
      try {
        await open.query(`ALTER ROLE ${open.quote(username)} PASSWORD NULL`);
        return { r: 'retired', code: 'OK', detail: 'the role has no password until its next rotation' };
      } catch (error) {
        return retireFailure(failureOf(error));
      }
    },
    async close() {
      const session = held;
      held = undefined;
      await release(job, session, session?.alive === true);
    },
  };
}

/** False once the server has ended the connection, which a statement that changes something must not find out. */
async function isAlive(session: Session): Promise<boolean> {
  const answered = await session.query('SELECT 1').then(
    () => session.alive,
    () => false,
  );
  if (!answered) await session.close();
  return answered;
}

function loginOf(job: RotationJob, own: Secret | undefined): Credentials {
  const login = job.actor === 'target' ? job.admin : own && { username: job.username, password: own };
  if (login !== undefined) return login;
  throw new PgFailure({
    origin: 'client',
    code: 'NO_CREDENTIALS',
    routine: '',
    authenticated: false,
    asked: false,
  });
}

function loginRefused(job: RotationJob, answer: ReturnType<typeof loginFailure>): Preflight {
  if (answer.r !== 'refused') return answer;
  const who = job.actor === 'self' ? 'the recorded value of the role' : "the target's credentials";
  return { ...answer, hint: `check that ${who} can log in with psql, to the target's database` };
}

/** Anything but a `PgFailure` is a bug of ours and goes on. */
function failureOf(error: unknown): Failure {
  if (error instanceof PgFailure) return error.failure;
  throw error;
}
