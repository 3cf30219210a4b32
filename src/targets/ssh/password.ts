/** Passwords of Linux accounts: `chpasswd` by somebody who may, or the account's own `passwd` (protocol §3.7). */
import type { Secret } from '../../secret.ts';
import type { ChosenRotator, Preflight, Probe, RotationJob, SetResult } from '../driver.ts';
import { release, spareOf } from '../spare.ts';
import { preflightFailure, probeFailure, refusal, refused, setLoginFailure } from './classify.ts';
import { aliveOr, connect, type Session } from './connect.ts';
import { failureOf, SshFailure } from './failure.ts';
import { tryLogin } from './login.ts';
import { daysToWait, type Facts, factsBody, lockoutAfter, printOf, readFacts, warningsOf } from './shadow.ts';
import { accountName, elevate, loginOf, nonceOf, runScript } from './shell.ts';

const chpasswd = '/usr/sbin/chpasswd';

/** `full`: a shell as root. `limited`: sudo runs chpasswd and nothing else. `self`: the account on its own. */
type Reach = 'full' | 'limited' | 'self';

export function passwordRotator(job: RotationJob, allows: (value: string) => boolean): ChosenRotator {
  const { username } = job;
  let held: Session | undefined;
  let reach: Reach | undefined;

  const session = async (): Promise<Session> => {
    if (held?.alive) return held;
    held = aliveOr(spareOf<Session>(job)) ?? (await connect(job, loginOf(job)));
    return held;
  };
  const asRoot = async (body: string, input?: string) =>
    runScript(await session(), job, { as: 'root', body, ...(input === undefined ? {} : { input }) });

  const findReach = async (): Promise<Reach> => {
    if (reach !== undefined) return reach;
    if (job.actor === 'self') return 'self';
    const denied = new SshFailure(
      'inconclusive',
      'NOT_PERMITTED',
      'the login may not change passwords of others',
    );
    try {
      const { lines } = await asRoot('say uid $(id -u)');
      if (!lines.includes('uid 0')) throw denied;
      reach = 'full';
    } catch (error) {
      if (!(error instanceof SshFailure) || error.code !== 'NOT_PERMITTED') throw error;
      const { command, lines } = elevate(job, 'root');
      if (command === '') throw error;
      const listed = await (await session()).exec(`${command}-l ${chpasswd}`, [...lines, ''].join('\n'));
      if (listed.code !== 0) throw denied;
      reach = 'limited';
    }
    return reach;
  };

  const facts = async (): Promise<Facts> => readFacts((await asRoot(factsBody(username))).lines);

  /** Asks the host's own checker: exact, and no login that anybody counts. Undefined where it has none. */
  const matches = async (value: Secret): Promise<boolean | undefined> => {
    const { lines } = await asRoot(
      `command -v unix_chkpwd >/dev/null || exit 0; unix_chkpwd ${username} nullok >/dev/null 2>&1; say match $?`,
      `${value.reveal()}\0`,
    );
    if (lines.includes('match 0')) return true;
    return lines.includes('match 7') ? false : undefined;
  };

  const witness: ChosenRotator['witness'] = async (value, { salt, print }) => {
    try {
      if ((await findReach()) !== 'full') return 'unknown';
      const { shadow } = await facts();
      if (shadow === undefined) return 'unknown';
      const same = salt !== undefined && printOf(shadow.hash, salt).print === print;
      if (same) return 'not-applied';
      const exact = shadow.locked ? undefined : await matches(value);
      if (exact !== undefined) return exact ? 'applied' : 'not-applied';
      return salt === undefined ? 'unknown' : 'changed';
    } catch (error) {
      failureOf(error);
      return 'unknown';
    }
  };

  /** A denied login has more reasons than a wrong value. Asks only over a session that is open already. */
  const explain = async (denied: Probe, value: Secret): Promise<Probe> => {
    if (denied.r !== 'denied' || !held?.alive || reach !== 'full') return denied;
    try {
      const { shadow, failures } = await facts();
      if (shadow?.locked)
        return { r: 'blocked', code: 'LOCKED', detail: 'the account is locked: every password is refused' };
      if (failures >= lockoutAfter)
        return { r: 'blocked', code: 'FAILLOCK', detail: 'the account is locked after failed logins' };
      if (shadow?.expired && (await matches(value)) === true)
        return {
          r: 'ok-restricted',
          code: 'EXPIRED',
          detail: 'the value is right, but the account has expired',
        };
      return denied;
    } catch (error) {
      failureOf(error);
      return denied;
    }
  };

  const probe = async (value: Secret): Promise<Probe> => explain(await tryLogin(job, value), value);

  const preflightSelf = async (): Promise<Preflight> => {
    const open = await session();
    if (!open.asked)
      return refused('unsupported', 'NOT_ASKED', 'the host lets the account in without a password');
    const { lines } = await runScript(open, job, {
      as: 'login',
      body: 'say status "$(passwd -S 2>/dev/null)"; say day $(( $(date +%s) / 86400 ))',
    });
    const after = (word: string): string =>
      lines.find((line) => line.startsWith(word))?.slice(word.length) ?? '';
    const wait = daysToWait(after('status '), Number(after('day ')));
    if (wait > 0)
      return {
        r: 'refused',
        why: 'too-soon',
        code: 'MIN_AGE',
        detail: `the minimum age of the present password is over in ${wait}d`,
        hint: 'lower it (chage -m 0), or write authenticateAs: target',
      };
    return { r: 'ready', server: 'OpenSSH', baseline: {}, witness: false, markedVersion: null, warnings: [] };
  };

  const preflightTarget = async (): Promise<Preflight> => {
    const limited = (await findReach()) === 'limited';
    const { exists, shadow, failures } = limited
      ? readFacts((await runScript(await session(), job, { as: 'login', body: factsBody(username) })).lines)
      : await facts();
    if (!exists) return refused('no-account', 'NO_ACCOUNT', 'the account does not exist');
    const warnings: string[] = [];
    if (limited)
      warnings.push('sudo runs chpasswd alone: a change that is cut off cannot be told from one that is not');
    warnings.push(...warningsOf(shadow));
    const budget = lockoutAfter - failures;
    if (budget < 2) warnings.push('the account had failed logins: the recorded value is not tried');
    else if (job.current !== undefined && !shadow?.locked) {
      const login = await probe(job.current);
      if (login.r === 'unreachable') return login;
      if (login.r === 'denied') warnings.push('the recorded value is not accepted');
      else if (login.r !== 'ok' && !shadow?.expired) warnings.push(login.detail);
    }
    const baseline = shadow === undefined ? {} : printOf(shadow.hash);
    return {
      r: 'ready',
      server: 'OpenSSH',
      baseline,
      witness: shadow !== undefined,
      markedVersion: null,
      warnings,
    };
  };

  const preflight = async (): Promise<Preflight> => {
    if (job.retain) return refused('unsupported', 'NO_GRACE', 'a Linux account has one password at a time');
    if (!accountName.test(username))
      return refused('unsupported', 'NAME', 'the account has no name of useradd(8)');
    try {
      return job.actor === 'self' ? await preflightSelf() : await preflightTarget();
    } catch (error) {
      return preflightFailure(failureOf(error));
    }
  };

  const setSelf = async (open: Session, value: Secret): Promise<SetResult> => {
    const old = job.current?.reveal() ?? '';
    const text = value.reveal();
    const { code, stderr } = await open.exec('env LC_ALL=C passwd', `${old}\n${text}\n${text}\n`);
    if (code === 0) return applied;
    return refusal(stderr, {
      why: 'bad-current',
      code: `EXIT_${code}`,
      detail: 'passwd refused the present password',
    });
  };

  const setGuarded = async (value: Secret): Promise<SetResult> => {
    const end = nonceOf();
    const { lines, stderr } = await asRoot(
      `IFS= read -r l && IFS= read -r e && [ "$e" = "${end}" ] || { say cut; exit 98; }; ` +
        `say go; printf "%s\\n" "$l" | ${chpasswd}; say rc $?`,
      `${username}:${value.reveal()}\n${end}\n`,
    );
    if (lines.includes('rc 0')) return applied;
    const code = lines.find((line) => line.startsWith('rc '));
    if (code !== undefined) return chpasswdRefusal(stderr, code.slice(3));
    return lines.includes('go')
      ? { r: 'ambiguous', code: 'NO_EXIT', detail: 'chpasswd was started and no answer came' }
      : { r: 'not-sent', code: 'CUT', detail: 'the line did not arrive whole' };
  };

  /** No shell to guard the line: one short write, and whatever is no exit code is ambiguous. */
  const setLimited = async (open: Session, value: Secret): Promise<SetResult> => {
    const { command, lines } = elevate(job, 'root');
    const { code, stderr } = await open.exec(
      `${command}${chpasswd}`,
      [...lines, `${username}:${value.reveal()}`, ''].join('\n'),
    );
    return code === 0 ? applied : chpasswdRefusal(stderr, String(code));
  };

  return {
    preflight,
    witness,
    probe,
    async set(value) {
      if (!allows(value.reveal()))
        return {
          r: 'refused',
          why: 'policy',
          code: 'ALPHABET',
          detail: 'the value has a character that the host may not take',
        };
      let open: Session;
      let how: Reach;
      try {
        if (!accountName.test(username))
          throw new SshFailure('inconclusive', 'NAME', 'no name of useradd(8)');
        open = await session();
        how = await findReach();
      } catch (error) {
        return setLoginFailure(failureOf(error));
      }
      try {
        if (how === 'full') return await setGuarded(value);
        return how === 'limited' ? await setLimited(open, value) : await setSelf(open, value);
      } catch (error) {
        const failure = failureOf(error);
        return failure.kind === 'unreachable'
          ? { r: 'ambiguous', ...failure.outcome }
          : setLoginFailure(failure);
      }
    },
    /** The SET has ended the former value; there is never a second one. */
    async retire(live) {
      try {
        await session();
      } catch (error) {
        const { r, ...said } = probeFailure(failureOf(error));
        return { r: r === 'unreachable' ? 'unreachable' : 'refused', ...said };
      }
      return live === undefined
        ? { r: 'refused', code: 'NO_PAIR', detail: 'alternating users are not supported on this target' }
        : { r: 'retired', code: 'OK', detail: 'an account has one password at a time' };
    },
    async close() {
      const session = held;
      held = undefined;
      await release(job, session, session?.alive === true);
    },
  };
}

const applied: SetResult = { r: 'applied', code: 'OK', detail: 'the password was changed' };

const chpasswdRefusal = (stderr: string, code: string): SetResult =>
  refusal(stderr, { why: 'permission', code: `EXIT_${code}`, detail: 'chpasswd refused' });
