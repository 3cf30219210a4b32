/** Reads and replaces an account's ~/.ssh/authorized_keys as that account: no link or folder of its own misleads root. */
import { createHash } from 'node:crypto';
import type { RotationJob } from '../driver.ts';
import type { Session } from './connect.ts';
import { SshFailure } from './failure.ts';
import { nonceOf, type Report, runScript } from './shell.ts';

/** Undefined where there is no such file yet. */
export type KeyFile = Buffer | undefined;

const place = (username: string): string =>
  `h=$(getent passwd ${username} | cut -d: -f6); d="$h/.ssh"; f="$d/authorized_keys"; ` +
  '[ -n "$h" ] || { say account; exit 1; }; [ -h "$f" ] && { say link; exit 1; }';

/** Throws SshFailure; the file is of the account itself, no link, and may be replaced. */
export async function readKeys(session: Session, job: RotationJob): Promise<KeyFile> {
  const end = nonceOf();
  const report = await runScript(session, job, {
    as: 'account',
    body:
      `${place(job.username)}; [ -e "$f" ] || { [ -w "$d" ] || [ -w "$h" ] || say owner; say none; exit 0; }; ` +
      '[ -r "$f" ] && [ -O "$f" ] && [ -w "$d" ] || { say owner; exit 1; }; ' +
      `say size $(wc -c < "$f"); cat "$f"; printf "%s\\n" "${end}"`,
  });
  const problem = problemIn(report);
  if (problem !== undefined) throw problem;
  if (report.lines.includes('none')) return undefined;
  const head = report.lines.find((line) => line.startsWith('size '));
  const mark = Buffer.from(`${report.nonce} ${head}\n`);
  const start = report.stdout.indexOf(mark) + mark.length;
  const size = Number(head?.slice(5));
  if (head === undefined || report.stdout.subarray(start + size).toString() !== `${end}\n`)
    throw new SshFailure('unreachable', 'CUT', 'the file did not arrive whole');
  return report.stdout.subarray(start, start + size);
}

/**
 * Replaces the file at once, with its owner and mode, if it still is what was read. `changed`: it was not; look
 * again. Throws SshFailure: `unreachable` where nobody knows.
 */
export async function writeKeys(
  session: Session,
  job: RotationJob,
  was: KeyFile,
  content: Buffer,
): Promise<'done' | 'changed'> {
  const digest = was === undefined ? 'none' : createHash('sha256').update(was).digest('hex');
  const report = await runScript(session, job, {
    as: 'account',
    input: content,
    body:
      `${place(job.username)}; umask 077; [ -d "$d" ] || mkdir "$d" || { say owner; exit 1; }; ` +
      't=$(mktemp "$d/.keyturn.XXXXXXXX") || { say owner; exit 1; }; trap "rm -f $t" EXIT; ' +
      'if [ -e "$f" ]; then cp -p "$f" "$t"; fi; ' +
      `cat > "$t"; [ "$(wc -c < "$t")" -eq ${content.length} ] || { say cut; exit 1; }; ` +
      's=none; if [ -e "$f" ]; then s=$(sha256sum < "$f" | cut -d" " -f1); fi; ' +
      `[ "$s" = ${digest} ] || { say changed; exit 0; }; ` +
      'sync "$t" 2>/dev/null; mv -f "$t" "$f" && say done',
  });
  const problem = problemIn(report);
  if (problem !== undefined) throw problem;
  if (report.lines.includes('changed')) return 'changed';
  if (report.lines.includes('done')) return 'done';
  if (report.lines.includes('cut'))
    throw new SshFailure('inconclusive', 'CUT', 'the new file did not fit or did not arrive');
  throw new SshFailure('unreachable', 'NO_EXIT', 'the replacement ended without an answer');
}

function problemIn({ lines }: Report): SshFailure | undefined {
  if (lines.includes('link'))
    return new SshFailure(
      'inconclusive',
      'LINK',
      'authorized_keys is a symbolic link, which keyturn does not replace',
    );
  if (lines.includes('owner'))
    return new SshFailure('inconclusive', 'OWNER', 'the account may not replace its authorized_keys');
  return lines.includes('account')
    ? new SshFailure('inconclusive', 'NO_ACCOUNT', 'the account does not exist')
    : undefined;
}
