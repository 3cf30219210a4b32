/** Keys of Linux accounts: one line of authorized_keys for each version, its comment is the handle (field §3.4). */
import type { Secret } from '../../secret.ts';
import type { ChosenRotator, Preflight, Probe, RotationJob, SetResult } from '../driver.ts';
import { release, spareOf } from '../spare.ts';
import { append, type Entry, entriesOf, remove } from './authorized-keys.ts';
import { preflightFailure, retireFailure, setLoginFailure } from './classify.ts';
import { aliveOr, connect, type Session } from './connect.ts';
import { failureOf, SshFailure } from './failure.ts';
import { type KeyFile, readKeys, writeKeys } from './key-file.ts';
import { handleOf, publicKeyOf } from './keys.ts';
import { tryLogin } from './login.ts';
import { accountName, asLogin, loginOf } from './shell.ts';

/** Somebody else may edit the file meanwhile; more often than this, nobody does it by hand. */
const mostEdits = 4;

const textOf = (file: KeyFile): string => file?.toString('latin1') ?? '';

export function keyRotator(job: RotationJob): ChosenRotator {
  const { username, mark } = job;
  const ours = `keyturn/${mark.uid}/v`;
  let held: Session | undefined;

  const session = async (own?: Secret): Promise<Session> => {
    if (held?.alive) return held;
    if (!accountName.test(username)) throw new SshFailure('inconclusive', 'NAME', 'no name of useradd(8)');
    held =
      aliveOr(spareOf<Session>(job)) ??
      (await connect(job, own && job.actor === 'self' ? asLogin(username, own, true) : loginOf(job)));
    return held;
  };

  /** Throws SshFailure. `change` gives the new text, or undefined where it is right already. */
  const edit = async (open: Session, change: (text: string) => string | undefined): Promise<void> => {
    for (let tries = 0; tries < mostEdits; tries++) {
      const was = await readKeys(open, job);
      const next = change(textOf(was));
      if (next === undefined) return;
      if ((await writeKeys(open, job, was, Buffer.from(next, 'latin1'))) === 'done') return;
    }
    throw new SshFailure('unreachable', 'BUSY', 'somebody else keeps changing authorized_keys');
  };

  const probe = (value: Secret): Promise<Probe> => tryLogin(job, value);

  const preflight = async (): Promise<Preflight> => {
    try {
      const entries = entriesOf(textOf(await readKeys(await session(), job)));
      const warnings: string[] = [];
      if (job.actor === 'target' && job.current !== undefined) {
        const login = await probe(job.current);
        if (login.r === 'unreachable') return login;
        if (login.r === 'denied') warnings.push('the recorded key is not accepted');
        else if (login.r !== 'ok') warnings.push(login.detail);
      }
      const versions = entries
        .filter(({ comment }) => comment.startsWith(ours))
        .map(({ comment }) => Number(comment.slice(ours.length)))
        .filter((version) => Number.isSafeInteger(version));
      const markedVersion = versions.length === 0 ? null : Math.max(...versions);
      return { r: 'ready', server: 'OpenSSH', baseline: {}, witness: true, markedVersion, warnings };
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

  const witness = async (value: Secret): Promise<'applied' | 'not-applied' | 'unknown'> => {
    const key = await publicKeyOf(value);
    if (key === undefined) return 'unknown';
    try {
      const entries = entriesOf(textOf(await readKeys(await session(), job)));
      return entries.some(({ blob }) => blob === key.blob) ? 'applied' : 'not-applied';
    } catch (error) {
      failureOf(error);
      return 'unknown';
    }
  };

  /** Appends our line, with the options of the line that it comes to replace: a new key opens no more than the old. */
  const set = async (value: Secret): Promise<SetResult> => {
    const key = await publicKeyOf(value);
    if (key === undefined)
      return { r: 'refused', why: 'policy', code: 'BAD_KEY', detail: 'the value is no private key' };
    const current = job.current && (await publicKeyOf(job.current));
    let open: Session;
    try {
      open = await session();
    } catch (error) {
      return setLoginFailure(failureOf(error));
    }
    try {
      await edit(open, (text) => {
        const entries = entriesOf(text);
        if (entries.some(({ blob }) => blob === key.blob)) return undefined;
        const options = entries.find(({ blob }) => blob === current?.blob)?.options ?? '';
        return append(text, `${options}${key.type} ${key.blob} ${handleOf(mark)}`);
      });
      return { r: 'applied', code: 'OK', detail: 'the key is in authorized_keys' };
    } catch (error) {
      const failure = failureOf(error);
      if (failure.code === 'NO_ACCOUNT') return { r: 'refused', why: 'no-account', ...failure.outcome };
      return failure.kind === 'unreachable'
        ? { r: 'ambiguous', ...failure.outcome }
        : setLoginFailure(failure);
    }
  };

  return {
    preflight,
    witness,
    probe,
    set,
    /** Every line of this secret but that of `live`, and the line of the version that ends, which may be adopted. */
    async retire(live) {
      try {
        if (live === undefined)
          return {
            r: 'refused',
            code: 'NO_PAIR',
            detail: 'alternating users are not supported on this target',
          };
        const key = await publicKeyOf(live);
        const former = job.ends ?? job.current;
        const ended = former && (await publicKeyOf(former));
        const goes = ({ blob, comment }: Entry): boolean =>
          blob !== key?.blob && (comment.startsWith(ours) || blob === ended?.blob);
        if (key === undefined)
          return { r: 'refused', code: 'BAD_KEY', detail: 'the present value is no private key' };
        await edit(await session(live), (text) => {
          const entries = entriesOf(text);
          // the last way in stays: without it nobody could put things right
          if (!entries.some(({ blob }) => blob === key.blob))
            throw new SshFailure('inconclusive', 'NOT_LIVE', 'the present key is not in authorized_keys');
          return entries.some(goes) ? remove(text, goes) : undefined;
        });
        return { r: 'retired', code: 'OK', detail: 'its line is gone from authorized_keys' };
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
