/** Type of target -> its driver, loaded on first use, behind one wrapper through which no exception and no value gets out. */
import type { Rotator, TargetType } from '../manifests/model.ts';
import { redact } from '../redact.ts';
import type { ChosenDriver, ChosenRotator, Outcome, RotationJob } from './driver.ts';
import type { IssuedDriver, IssuedJob, IssuedRotator } from './issued.ts';
import type { SlotDriver, SlotJob, SlotRotator } from './slots.ts';

/** Three shapes, because the protocol has three machines. */
export type Driver = ChosenDriver | IssuedDriver | SlotDriver;

/** Of a tenant two kinds of things are rotated. */
const load: Record<TargetType, (rotator: Rotator | undefined) => Promise<Driver>> = {
  aws: async () => (await import('./aws.ts')).aws,
  azure: async (rotator) => {
    const { application, user } = await import('./azure.ts');
    return rotator === 'password' ? user : application;
  },
  'azure-storage': async () => (await import('./azure-storage.ts')).azureStorage,
  mysql: async () => (await import('./mysql.ts')).mysql,
  ssh: async () => (await import('./ssh.ts')).ssh,
  postgresql: async () => (await import('./postgresql.ts')).postgresql,
  web: async () => (await import('./web.ts')).web,
};

const loaded = new Map<string, Promise<Driver>>();

/** Loaded once, however many rotations ask for it. */
export function driverOf(type: TargetType, rotator?: Rotator): Promise<Driver> {
  const kind = `${type}/${rotator}`;
  const driver = loaded.get(kind) ?? load[type](rotator).then(behindGuard);
  loaded.set(kind, driver);
  return driver;
}

function behindGuard(driver: Driver): Driver {
  if (driver.machine === 'slots')
    return { ...driver, rotator: (job: SlotJob) => guardedSlots(driver.rotator(job)) };
  if (driver.machine === 'issued')
    return { ...driver, rotator: (job: IssuedJob) => guardedIssued(driver.rotator(job)) };
  return { ...driver, rotator: (job: RotationJob) => guarded(driver.rotator(job)) };
}

/** A driver's exception is an answer that never came: never a "no", never an "ok". */
function guarded(rotator: ChosenRotator): ChosenRotator {
  const { obtain } = rotator;
  return {
    ...(obtain === undefined
      ? {}
      : {
          obtain: (key: string) =>
            obtain(key).then(clean, (error) => ({ r: 'ambiguous' as const, ...bug(error) })),
        }),
    preflight: () => rotator.preflight().then(clean, (error) => ({ r: 'unreachable', ...bug(error) })),
    witness: (value, baseline) => rotator.witness(value, baseline).catch(() => 'unknown'),
    probe: (value) => rotator.probe(value).then(clean, (error) => ({ r: 'inconclusive', ...bug(error) })),
    set: (value, baseline) =>
      rotator.set(value, baseline).then(clean, (error) => ({ r: 'ambiguous', ...bug(error) })),
    retire: (live) => rotator.retire(live).then(clean, (error) => ({ r: 'unreachable', ...bug(error) })),
    close: () => rotator.close().catch(() => undefined),
    ...(rotator.proof === undefined ? {} : { proof: rotator.proof }),
  };
}

/** An exception of `issue` may hide a value that was made. */
function guardedIssued(rotator: IssuedRotator): IssuedRotator {
  const silent = (error: unknown) => ({ r: 'unreachable' as const, ...bug(error) });
  return {
    preflight: () => rotator.preflight().then(clean, silent),
    list: () => rotator.list().then(clean, silent),
    issue: (by) => rotator.issue(by).then(clean, (error) => ({ r: 'ambiguous', ...bug(error) })),
    verify: (issued) => rotator.verify(issued).then(clean, (error) => ({ r: 'inconclusive', ...bug(error) })),
    disable: (handle) => rotator.disable(handle).then(clean, silent),
    remove: (handle) => rotator.remove(handle).then(clean, silent),
    lastUsedAt: (handle) =>
      rotator.lastUsedAt(handle).then(clean, (error) => ({ r: 'unknown', ...bug(error) })),
    close: () => rotator.close().catch(() => undefined),
  };
}

/** A renewal may have happened although its answer was an exception. */
const guardedSlots = (rotator: SlotRotator): SlotRotator => ({
  read: () => rotator.read().then(clean, (error) => ({ r: 'unreachable', ...bug(error) })),
  renew: (slot) => rotator.renew(slot).then(clean, (error) => ({ r: 'ambiguous', ...bug(error) })),
  close: () => rotator.close().catch(() => undefined),
});

const clean = <R extends object>(result: R): R =>
  'detail' in result && typeof result.detail === 'string'
    ? { ...result, detail: redact(result.detail) }
    : result;

const bug = (error: unknown): Outcome => ({
  code: error instanceof Error ? error.name : 'exception',
  detail: 'keyturn failed while talking to the target; this is a bug',
});
