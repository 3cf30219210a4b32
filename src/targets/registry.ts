/** Type of target -> its driver, loaded on first use, behind one wrapper through which no exception and no value gets out. */
import type { TargetType } from '../manifests/model.ts';
import { redact } from '../redact.ts';
import type { ChosenDriver, ChosenRotator, Outcome } from './driver.ts';

const load: Record<TargetType, () => Promise<ChosenDriver>> = {
  mysql: async () => (await import('./mysql.ts')).mysql,
  ssh: async () => (await import('./ssh.ts')).ssh,
  postgresql: async () => (await import('./postgresql.ts')).postgresql,
};

export async function driverOf(type: TargetType): Promise<ChosenDriver> {
  const driver = await load[type]();
  return { ...driver, rotator: (job) => guarded(driver.rotator(job)) };
}

/** A driver's exception is an answer that never came: never a "no", never an "ok". */
function guarded(rotator: ChosenRotator): ChosenRotator {
  return {
    preflight: () => rotator.preflight().then(clean, (error) => ({ r: 'unreachable', ...bug(error) })),
    witness: (value, baseline) => rotator.witness(value, baseline).catch(() => 'unknown'),
    probe: (value) => rotator.probe(value).then(clean, (error) => ({ r: 'inconclusive', ...bug(error) })),
    set: (value, baseline) =>
      rotator.set(value, baseline).then(clean, (error) => ({ r: 'ambiguous', ...bug(error) })),
    retire: (live) => rotator.retire(live).then(clean, (error) => ({ r: 'unreachable', ...bug(error) })),
    close: () => rotator.close().catch(() => undefined),
  };
}

const clean = <R extends object>(result: R): R =>
  'detail' in result && typeof result.detail === 'string'
    ? { ...result, detail: redact(result.detail) }
    : result;

const bug = (error: unknown): Outcome => ({
  code: error instanceof Error ? error.name : 'exception',
  detail: 'keyturn failed while talking to the target; this is a bug',
});
