/**
 * Scripts on the other side. Every one is fixed text but for a nonce and an account name of a safe alphabet; what
 * is secret comes over stdin alone, after a line that marks its beginning (so that a password for sudo before it,
 * wanted or not, is never taken for data). What a login shell prints by itself is told apart by the nonce.
 */
import { randomBytes } from 'node:crypto';
import type { Credentials, RotationJob } from '../driver.ts';
import type { Done } from './command.ts';
import { optionsOf, type Session } from './connect.ts';
import { SshFailure } from './failure.ts';

/** Names that need no quoting anywhere; the manifests' rules say the same. */
export const accountName = /^[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?$/;

/** Who runs the script: the login itself, root, or the account that is rotated. */
export type As = 'login' | 'root' | 'account';

export interface Script {
  as: As;
  /** For /bin/sh; no single quotes and no `!`: the login shell may be any. `say WORD …` reports a line to us. */
  body: string;
  /** What its stdin holds. */
  input?: string | Buffer;
}

export interface Report {
  /** Lines reported with `say`, in order. */
  lines: string[];
  stdout: Buffer;
  stderr: string;
  /** Marks every line that is ours. */
  nonce: string;
}

export const nonceOf = (): string => randomBytes(12).toString('hex');

/** Runs a script. Throws SshFailure: `inconclusive` where it was not let run, `unreachable` where no answer came. */
export async function runScript(session: Session, job: RotationJob, script: Script): Promise<Report> {
  const nonce = nonceOf();
  const { command, lines } = elevate(job, script.as);
  const text = [
    'PATH=/usr/sbin:/usr/bin:/sbin:/bin; export PATH; LC_ALL=C; export LC_ALL; cd /',
    `say() { printf "%s\\n" "${nonce} $*"; }`,
    `say ready; IFS= read -r l; [ "$l" = "${nonce}" ] || IFS= read -r l; [ "$l" = "${nonce}" ] || exit 97`,
    `say in; ${script.body}`,
  ].join('; ');
  const input = Buffer.concat([Buffer.from(`${nonce}\n`), Buffer.from(script.input ?? '')]);
  const lead = lines.length === 0 ? undefined : { text: `${lines.join('\n')}\n`, cue: `${nonce} ready` };
  const done = await session.exec(`${command}/bin/sh -c '${text}'`, input, lead);
  const report = { ...read(done, nonce), nonce };
  if (report.lines[1] !== 'in') throw notRun(done, script.as);
  return { ...report, lines: report.lines.slice(2) };
}

/** How the login becomes somebody else, and what sudo is told on stdin. */
export function elevate(job: RotationJob, as: As): { command: string; lines: string[] } {
  const login = loginOf(job);
  const { sudo } = optionsOf(job.target);
  if (as === 'login' || (as === 'account' && login.username === job.username))
    return { command: '', lines: [] };
  const who = as === 'account' ? `-H -u ${job.username} ` : '';
  if (sudo === 'none')
    return { command: as === 'account' ? `/usr/sbin/runuser -u ${job.username} -- ` : '', lines: [] };
  if (sudo === 'passwordless') return { command: `sudo -n ${who}`, lines: [] };
  // -k: a remembered password would leave the line on stdin; an empty prompt keeps it out of stderr
  return { command: `sudo -k -S -p "" ${who}`, lines: [login.password.reveal()] };
}

/** The login of the administrative session: the account's own for `self`. */
export function loginOf({ actor, admin, current, username, keyType }: RotationJob): Credentials {
  if (actor === 'target') {
    if (admin === undefined)
      throw new SshFailure('inconclusive', 'NO_LOGIN', 'the target has no credentials');
    return admin;
  }
  if (current === undefined)
    throw new SshFailure('inconclusive', 'NO_LOGIN', 'no value of the account is known');
  return asLogin(username, current, keyType !== undefined);
}

/** A login with a value that is a password or, `keyed`, a private key alone. */
export const asLogin = (username: string, value: Credentials['password'], keyed: boolean): Credentials =>
  keyed ? { username, password: value, privateKey: value } : { username, password: value };

function read({ stdout, stderr }: Done, nonce: string): Pick<Report, 'lines' | 'stdout' | 'stderr'> {
  const mark = `${nonce} `;
  const lines = stdout
    .toString('latin1')
    .split('\n')
    .filter((line) => line.startsWith(mark))
    .map((line) => line.slice(mark.length));
  return { lines, stdout, stderr };
}

function notRun({ stderr }: Done, as: As): SshFailure {
  if (/password change required|must change your password/i.test(stderr))
    return new SshFailure(
      'restricted',
      'MUST_CHANGE',
      'the password of the login must be changed on a terminal first',
    );
  if (/try again|incorrect password/i.test(stderr))
    return new SshFailure('inconclusive', 'SUDO_PASSWORD', 'sudo refused the password of the login');
  return as === 'login'
    ? new SshFailure('inconclusive', 'NO_SHELL', 'the login may not run commands')
    : new SshFailure('inconclusive', 'NOT_PERMITTED', 'the login may not run this as another user');
}
