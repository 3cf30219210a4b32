import type { Credentials, RotationJob, Target } from './driver.ts';

interface Kept {
  target: Target;
  login: Credentials;
  session: unknown;
  close: () => unknown;
}

/**
 * The privileged logins of one run that nobody needs just now: hundreds of accounts of one target are changed over as
 * many connections as may be open at once, not over two each. Only a target's own login is ever kept, never an
 * account's; whoever takes one asks it for a sign of life before anything depends on it. No pool: nobody waits here.
 */
export class SpareLogins {
  readonly #kept: Kept[] = [];

  /** One that logged in to this target with exactly these values; the caller owns it from now on. */
  take<Session>(target: Target, login: Credentials): Session | undefined {
    const index = this.#kept.findIndex((kept) => kept.target === target && isSame(kept.login, login));
    return index < 0 ? undefined : (this.#kept.splice(index, 1)[0]?.session as Session);
  }

  /** Hands one over that has nothing under way. `close` must not throw. */
  keep<Session>(target: Target, login: Credentials, session: Session, close: () => unknown): void {
    this.#kept.push({ target, login, session, close });
  }

  async close(): Promise<void> {
    await Promise.all(this.#kept.splice(0).map(({ close }) => close()));
  }
}

function isSame(a: Credentials, b: Credentials): boolean {
  const key = ({ username, password, privateKey, passphrase }: Credentials): string =>
    JSON.stringify([username, password.reveal(), privateKey?.reveal(), passphrase?.reveal()]);
  return key(a) === key(b);
}

/** A kept login that this job may use as its administrative session. */
export const spareOf = <Session>({ actor, admin, target, spare }: RotationJob): Session | undefined =>
  actor === 'target' && admin !== undefined ? spare?.take<Session>(target, admin) : undefined;

/** What a rotator does with its administrative session when it is done: keeps it for the next one, or ends it. */
export async function release(
  { actor, admin, target, spare }: RotationJob,
  session: { close(): unknown } | undefined,
  isOpen: boolean,
): Promise<void> {
  if (session === undefined) return;
  if (isOpen && actor === 'target' && admin !== undefined && spare !== undefined)
    spare.keep(target, admin, session, () => session.close());
  else await session.close();
}
