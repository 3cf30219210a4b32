/** One login with a value, as the account that it belongs to: what adopting and verifying ask a target. */
import type { RotatedSecret, Target } from '../manifests/model.ts';
import type { Secret } from '../secret.ts';
import type { Credentials, Probe, RotationJob } from '../targets/driver.ts';
import type { Driver } from '../targets/registry.ts';
import { fingerprintOf } from '../targets/slots.ts';
import { keyed } from './prepare.ts';

export interface Login {
  target: Target;
  secret: RotatedSecret;
  username: string;
  value: Secret;
  /** The target's name of the value, where it issues them. */
  handle: string | undefined;
  mark: RotationJob['mark'];
  admin?: Credentials | undefined;
  jump?: Credentials;
}

const gravity: Probe['r'][] = ['denied', 'blocked', 'unreachable', 'inconclusive', 'ok-restricted', 'ok'];

/** One answer for several hosts: the gravest, with the name of who gave it. */
export function together(answers: readonly { host: string; probe: Probe }[]): Probe {
  const worst = gravity.flatMap((r) => answers.find(({ probe }) => probe.r === r) ?? [])[0];
  if (!worst) return { r: 'inconclusive', code: 'NO_HOST', detail: 'no host has it' };
  const { host, probe } = worst;
  return probe.r === 'ok' ? probe : { ...probe, detail: `${host}: ${probe.detail}` };
}

/** Changes nothing at the target, and never tries twice. */
export async function logIn(driver: Driver, { secret, value, handle, ...login }: Login): Promise<Probe> {
  if (driver.machine === 'issued') {
    const { target, username } = login;
    const issued = { handle: handle ?? '', value };
    const rotator = driver.rotator({ target, username, actor: 'self', admin: undefined, login: issued });
    return rotator.verify(issued).finally(() => rotator.close());
  }
  if (driver.machine === 'slots') {
    const { target, admin, username, mark } = login;
    const rotator = driver.rotator({ target, admin, account: secret.account });
    const reading = await rotator.read().finally(() => rotator.close());
    if (reading.r !== 'read')
      return {
        r: reading.r === 'refused' ? 'inconclusive' : 'unreachable',
        code: reading.code,
        detail: reading.detail,
      };
    const live = reading.slots.find(({ name }) => name === username);
    const same = live && fingerprintOf(mark.uid, live.value) === fingerprintOf(mark.uid, value);
    return same
      ? { r: 'ok', code: 'OK', detail: `${username} holds it` }
      : { r: 'denied', code: 'OTHER', detail: `${username} holds another value: somebody renewed it` };
  }
  const rotator = driver.rotator({
    ...login,
    admin: login.admin,
    host: secret.account.host,
    account: secret.account,
    actor: 'self',
    current: value,
    retain: false,
    ...keyed(secret),
  });
  return rotator.probe(value).finally(() => rotator.close());
}
