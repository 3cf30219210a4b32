import type { Credentials, RotationJob, Target } from './driver.ts';

interface Kept {
  target: Target;
  login: Credentials;
  session: unknown;
  close: () => unknown;
}

/** What any number of rotations may use at once. */
export interface Shared {
  close(): unknown;
}

interface Sharing {
  target: Target;
  login: Credentials | undefined;
  session: Promise<Shared>;
}

/**
 * The privileged logins of one run that nobody needs just now: hundreds of accounts of one target are changed over as
 * many connections as may be open at once, not over two each. Only a target's own login is ever kept, never an
 * account's; whoever takes one asks it for a sign of life before anything depends on it. No pool: nobody waits here.
 */
export class SpareLogins {
  readonly #kept: Kept[] = [];
  #sharing: Sharing[] = [];
  readonly #shared: Shared[] = [];

  /** One that logged in to this target with exactly these values; the caller owns it from now on. */
  take<Session>(target: Target, login: Credentials): Session | undefined {
    const index = this.#kept.findIndex((kept) => kept.target === target && isSame(kept.login, login));
    return index < 0 ? undefined : (this.#kept.splice(index, 1)[0]?.session as Session);
  }

  /** Hands one over that has nothing under way. `close` must not throw. */
  keep<Session>(target: Target, login: Credentials, session: Session, close: () => unknown): void {
    this.#kept.push({ target, login, session, close });
  }

  /** One that logs in with exactly these values, or with what the environment gives, for all who ask; open until the run ends. */
  share<Session extends Shared>(
    target: Target,
    login: Credentials | undefined,
    open: () => Promise<Session>,
  ): Promise<Session> {
    const found = this.#sharing.find((one) => one.target === target && isSame(one.login, login));
    if (found) return found.session as Promise<Session>;
    const one = { target, login, session: open() };
    this.#sharing.push(one);
    one.session.then(
      (session) => this.#shared.push(session),
      () => this.#drop(one),
    );
    return one.session;
  }

  /** Nobody else is given `session` from now on. */
  async forget(session: Shared): Promise<void> {
    for (const one of [...this.#sharing])
      if ((await one.session.catch(() => null)) === session) this.#drop(one);
  }

  #drop(one: Sharing): void {
    this.#sharing = this.#sharing.filter((other) => other !== one);
  }

  async close(): Promise<void> {
    this.#sharing = [];
    await Promise.all([
      ...this.#kept.splice(0).map(({ close }) => close()),
      ...this.#shared.splice(0).map((session) => session.close()),
    ]);
  }
}

function isSame(a: Credentials | undefined, b: Credentials | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
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
