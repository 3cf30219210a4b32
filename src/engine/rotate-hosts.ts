/** The same value on several hosts: on one alone until it has proven itself, then on the others side by side. */
import pLimit from 'p-limit';
import { KeyturnError } from '../errors.ts';
import { type Attempt, keep, type Outcome } from './attempt.ts';
import { hostsAtOnce } from './begin-hosts.ts';
import type { HostAttempt, HostsAttempt } from './hosts-attempt.ts';
import { rotateChosen } from './rotate-chosen.ts';
import type { World } from './world.ts';

/** How every host that was tried in this run ended, and those that could not be. Others stay as they are. */
export async function rotateHosts(
  { hosts, unready, wanted }: HostsAttempt,
  world: World,
): Promise<Map<string, Outcome>> {
  const outcomes = new Map<string, Outcome>(unready);
  const carryOut = async ({ host, attempt }: HostAttempt): Promise<void> => {
    outcomes.set(host, await oneHost(attempt, world));
  };
  const [first, ...others] = hosts;
  if (!first) return outcomes;
  const someHaveIt = hosts.length + unready.size < wanted.length;
  await carryOut(first);
  // what one host refuses or does not take is found out while all the others still have the old value
  if (!someHaveIt && outcomes.get(first.host)?.r !== 'live') return outcomes;
  const limit = pLimit(hostsAtOnce);
  const ended = await Promise.allSettled(others.map((one) => limit(() => carryOut(one))));
  for (const end of ended) if (end.status === 'rejected') throw end.reason;
  return outcomes;
}

/** What stops one host stays with it. Anything but a KeyturnError is a bug of ours and stays one. */
async function oneHost(attempt: Attempt, world: World): Promise<Outcome> {
  try {
    return await rotateChosen(attempt, world);
  } catch (error) {
    if (!(error instanceof KeyturnError)) throw error;
    const outcome = error.exit === 75 ? 'waiting' : 'human';
    return keep('set', 'error', { code: error.code ?? 'ERROR', detail: error.message }, { outcome });
  } finally {
    await attempt.rotator.close();
  }
}
