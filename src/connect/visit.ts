/** A session from its record's beginning to its end, whatever happens in between. */
import { ulid } from 'ulid';
import { openRepository } from '../git/open.ts';
import type { Host } from '../host.ts';
import { sessionLease } from '../state/sessions.ts';
import type { Interrupts } from '../targets/session.ts';
import { type Arranged, arrange } from './arrange.ts';
import { type OnRecord, putOnRecord } from './record.ts';
import { serve } from './serve.ts';

export interface Visited {
  arranged: Arranged;
  /** What the person ran ended so; null where nobody got in, `failure` says why. */
  code: number | null;
  failure: unknown;
  /** Somebody was logged in with the credential. */
  used: boolean;
  /** Its end is on record too. */
  closed: boolean;
}

export interface Visit {
  name: string;
  identity: string | undefined;
  host: string | undefined;
  words: readonly string[];
  tty: boolean;
  say: (words: string) => void;
  warn: (words: string) => void;
  give: (data: string) => void;
}

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/** Throws KeyturnError where no session was begun: not allowed, not for this identity, in use, not recordable. */
export async function visitTarget(host: Host, asked: Visit): Promise<Visited> {
  const { name, say, warn } = asked;
  const told = tellOnce(name, warn);
  const arranged = await arrange(host, name, { identity: asked.identity, host: asked.host, renewed: told });
  for (const note of arranged.notes) warn(note);
  const { secret, target, access, version, keyring } = arranged;
  const repository = await openRepository(arranged.root, {
    ...(arranged.stateRef === undefined ? {} : { stateRef: arranged.stateRef }),
    env: host.env,
    clock: host.clock,
    random: host.random,
  });
  const by = await repository.author();
  const id = ulid(host.clock.now().getTime());
  const record = await putOnRecord(repository, host.clock, {
    ...{ id, secret: secret.name, version, by, from: host.machine, exclusive: access.exclusive },
    protocol: access.protocol,
    host: access.web?.url ?? `${target.host}:${target.port}`,
  });
  const watch = watchSignals();
  const beat = heartbeat(record, told);
  const outcome: Pick<Visited, 'code' | 'failure'> = { code: null, failure: undefined };
  try {
    outcome.code = await serve({
      ...{ host, arranged, words: asked.words, tty: asked.tty, say, give: asked.give },
      keyId: `keyturn ${by} ${id}`,
      interrupts: watch.interrupts,
    });
  } catch (error) {
    outcome.failure = error;
  }
  await beat.stop();
  const end = await Promise.race([record.close(!keyring.used), watch.second()]);
  watch.stop();
  if (end === null)
    warn(
      `the end of the session could not be recorded; it counts as over in ${sessionLease / 60_000} minutes at most`,
    );
  else if (end.current !== null && end.current !== record.current) told(end.current);
  return { arranged, ...outcome, used: keyring.used, closed: end !== null };
}

/** Whoever is in a session hears of each rotation once. */
function tellOnce(name: string, warn: (words: string) => void): (version: number) => void {
  const told = new Set<number>();
  return (version) => {
    if (told.has(version)) return;
    told.add(version);
    warn(
      `${name} was rotated to v${version} during this session; new logins use that, old connections may be cut off`,
    );
  };
}

/** Renews the record twice a lease, and looks at the same time whether the credential was rotated. */
export function heartbeat(
  record: OnRecord,
  rotated: (version: number) => void,
  every: number = sessionLease / 2,
): { stop(): Promise<void> } {
  let last: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    last = last.then(async () => {
      const current = await record.renew();
      if (current !== null && current !== record.current) rotated(current);
    });
  }, every);
  return {
    stop: () => {
      clearInterval(timer);
      return last;
    },
  };
}

/** Our own signals, none of which ends this process before its session is off the record; a second one does. */
function watchSignals(): { interrupts: Interrupts; second(): Promise<null>; stop(): void } {
  const listeners = new Set<(signal: NodeJS.Signals) => void>();
  const hear = (signal: NodeJS.Signals): void => {
    for (const listener of [...listeners]) listener(signal);
  };
  const interrupts: Interrupts = (listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  for (const signal of signals) process.on(signal, hear);
  return {
    interrupts,
    second: () =>
      new Promise((resolve) => {
        interrupts((signal) => {
          if (signal === 'SIGINT' || signal === 'SIGTERM') resolve(null);
        });
      }),
    stop: () => {
      for (const signal of signals) process.off(signal, hear);
    },
  };
}
