/**
 * Passwords of local Windows accounts over Windows OpenSSH: a PowerShell script that reads the value from stdin
 * (protocol §3.7; never `net user`, which takes it in argv). Tested against a double only, never on Windows.
 */
import type { Secret } from '../../secret.ts';
import type { ChosenRotator, Preflight, RotationJob, SetResult } from '../driver.ts';
import { preflightFailure, probeFailure, setLoginFailure } from './classify.ts';
import { connect, type Session } from './connect.ts';
import { failureOf, SshFailure } from './failure.ts';
import { tryLogin } from './login.ts';
import { loginOf, nonceOf } from './shell.ts';

const encoded = (script: string): string =>
  `powershell -NoProfile -NonInteractive -EncodedCommand ${Buffer.from(script, 'utf16le').toString('base64')}`;

/** The account's name as PowerShell decodes it: no quoting. */
const nameOf = (username: string): string =>
  `$u = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('${Buffer.from(username).toString('base64')}'))`;

export function windowsRotator(job: RotationJob, allows: (value: string) => boolean): ChosenRotator {
  let held: Session | undefined;

  const session = async (): Promise<Session> => {
    if (held?.alive) return held;
    held = await connect(job, loginOf(job));
    return held;
  };

  /** Lines that the script wrote after our nonce. Throws SshFailure where it did not come to its first. */
  const run = async (body: string, input = ''): Promise<string[]> => {
    const nonce = nonceOf();
    const script = [
      "$ErrorActionPreference = 'Stop'",
      `function say($text) { [Console]::Out.WriteLine('${nonce} ' + $text) }`,
      'say in',
      nameOf(job.username),
      `try { ${body} } catch { say ('error ' + $_.FullyQualifiedErrorId) }`,
    ].join('\n');
    const { stdout } = await (await session()).exec(encoded(script), input);
    const lines = stdout
      .toString('utf8')
      .split(/\r?\n/)
      .filter((line) => line.startsWith(`${nonce} `))
      .map((line) => line.slice(nonce.length + 1));
    if (lines[0] !== 'in')
      throw new SshFailure('inconclusive', 'NO_POWERSHELL', 'the host ran no PowerShell for the login');
    return lines.slice(1);
  };

  const lastSet = async (): Promise<string | undefined> => {
    const lines = await run('say ("set " + (Get-LocalUser -Name $u).PasswordLastSet.ToFileTimeUtc())');
    if (lines.some((line) => line.startsWith('error UserNotFound')))
      throw new SshFailure('inconclusive', 'NO_ACCOUNT', 'the account does not exist');
    return lines.find((line) => line.startsWith('set '))?.slice(4);
  };

  const preflight = async (): Promise<Preflight> => {
    const no = (code: string, detail: string, hint: string): Preflight => ({
      r: 'refused',
      why: 'unsupported',
      code,
      detail,
      hint,
    });
    if (job.retain) return no('NO_GRACE', 'a Windows account has one password at a time', 'write grace: 0s');
    if (job.actor === 'self')
      return no(
        'WINDOWS_SELF',
        'a Windows account cannot change its own password over SSH',
        'write authenticateAs: target',
      );
    try {
      const before = await lastSet();
      const warnings: string[] = [];
      if (job.current !== undefined) {
        const login = await tryLogin(job, job.current);
        if (login.r === 'unreachable') return login;
        if (login.r === 'denied') warnings.push('the recorded value is not accepted');
        else if (login.r !== 'ok') warnings.push(login.detail);
      }
      const baseline = before === undefined ? {} : { lastSet: before };
      return {
        r: 'ready',
        server: 'Windows OpenSSH',
        baseline,
        witness: before !== undefined,
        markedVersion: null,
        warnings,
      };
    } catch (error) {
      const failure = failureOf(error);
      if (failure.code === 'NO_ACCOUNT')
        return {
          r: 'refused',
          why: 'no-account',
          ...failure.outcome,
          hint: 'create the account, or correct the manifest',
        };
      return preflightFailure(failure);
    }
  };

  const set = async (value: Secret): Promise<SetResult> => {
    if (!allows(value.reveal()))
      return {
        r: 'refused',
        why: 'policy',
        code: 'ALPHABET',
        detail: 'the value has a character that the host may not take',
      };
    if (job.actor === 'self')
      return {
        r: 'refused',
        why: 'permission',
        code: 'WINDOWS_SELF',
        detail: 'the account cannot change its own password',
      };
    try {
      await session();
    } catch (error) {
      return setLoginFailure(failureOf(error));
    }
    const end = nonceOf();
    try {
      const lines = await run(
        `$l = [Console]::In.ReadLine(); $e = [Console]::In.ReadLine(); if ($e -cne '${end}') { say cut } else { say go; ` +
          'Set-LocalUser -Name $u -Password (ConvertTo-SecureString $l -AsPlainText -Force); say done }',
        `${value.reveal()}\n${end}\n`,
      );
      if (lines.includes('done')) return { r: 'applied', code: 'OK', detail: 'the password was changed' };
      if (lines.includes('cut'))
        return { r: 'not-sent', code: 'CUT', detail: 'the line did not arrive whole' };
      const error = lines.find((line) => line.startsWith('error '));
      return error === undefined
        ? { r: 'ambiguous', code: 'NO_EXIT', detail: 'the script was started and no answer came' }
        : refusal(error);
    } catch (error) {
      const failure = failureOf(error);
      return failure.kind === 'unreachable'
        ? { r: 'ambiguous', ...failure.outcome }
        : setLoginFailure(failure);
    }
  };

  return {
    preflight,
    set,
    probe: (value) => tryLogin(job, value),
    async witness(_, baseline) {
      try {
        const now = baseline.lastSet === undefined ? undefined : await lastSet();
        if (now === undefined) return 'unknown';
        return now === baseline.lastSet ? 'not-applied' : 'changed';
      } catch (error) {
        failureOf(error);
        return 'unknown';
      }
    },
    async retire() {
      try {
        await session();
        return { r: 'retired', code: 'OK', detail: 'an account has one password at a time' };
      } catch (error) {
        const { r, ...said } = probeFailure(failureOf(error));
        return { r: r === 'unreachable' ? 'unreachable' : 'refused', ...said };
      }
    },
    async close() {
      held?.close();
      held = undefined;
    },
  };
}

function refusal(error: string): SetResult {
  const said = (why: 'policy' | 'no-account' | 'permission', code: string, detail: string): SetResult => ({
    r: 'refused',
    why,
    code,
    detail,
  });
  if (/InvalidPassword/.test(error))
    return said('policy', 'POLICY', "the host's password policy refuses the value");
  if (/UserNotFound/.test(error)) return said('no-account', 'NO_ACCOUNT', 'the account does not exist');
  return said('permission', 'NOT_PERMITTED', 'the login may not change passwords of others');
}
