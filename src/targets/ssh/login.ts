import type { Secret } from '../../secret.ts';
import type { Probe, RotationJob } from '../driver.ts';
import { probeFailure } from './classify.ts';
import { connect, type Session } from './connect.ts';
import { failureOf } from './failure.ts';
import { asLogin } from './shell.ts';

/**
 * One login of the account with `value` on a new connection, and one command that every shell knows: an expired
 * password passes the login and is told by the command alone.
 */
export async function tryLogin(job: RotationJob, value: Secret): Promise<Probe> {
  let open: Session | undefined;
  try {
    open = await connect(job, asLogin(job.username, value, job.keyType !== undefined));
    if (!open.asked)
      return {
        r: 'inconclusive',
        code: 'NOT_ASKED',
        detail: 'the host lets the account in without asking for anything',
      };
    return await afterLogin(open);
  } catch (error) {
    return probeFailure(failureOf(error));
  } finally {
    open?.close();
  }
}

async function afterLogin(open: Session): Promise<Probe> {
  try {
    const { stderr } = await open.exec('exit 0');
    if (/password change required|must change your password/i.test(stderr))
      return {
        r: 'ok-restricted',
        code: 'MUST_CHANGE',
        detail: 'the password must be changed at the next login',
      };
  } catch (error) {
    const { code, kind, outcome } = failureOf(error);
    if (kind === 'unreachable' && code !== 'NO_EXEC' && code !== 'NO_EXIT')
      return { r: 'unreachable', ...outcome };
  }
  return { r: 'ok', code: 'OK', detail: 'logged in as the account' };
}
