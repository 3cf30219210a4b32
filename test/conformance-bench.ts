import { expect } from 'vitest';
import { Secret } from '../src/secret.ts';
import type { ChosenDriver, ChosenRotator, Preflight, RotationJob } from '../src/targets/driver.ts';
import { type CutProxy, startCutProxy } from './servers/cut-proxy.ts';

let drawn = 0;
/** A fresh value that every policy of the test servers takes. */
export const freshValue = (): string =>
  `Kt${process.pid}x${++drawn}-Zq7%w@${Math.random().toString(36).slice(2, 12)}`;

export const atPort = (job: RotationJob, port: number): RotationJob => ({
  ...job,
  target: { ...job.target, port },
});

/** The baseline of a preflight that has to be ready. */
export function baselineOf(preflight: Preflight): Record<string, string> {
  expect(preflight).toMatchObject({ r: 'ready' });
  return preflight.r === 'ready' ? preflight.baseline : {};
}

/** Makes rotators, proxies and values for one test at a time, and remembers what was answered. */
export function makeBench(driver: ChosenDriver, at: typeof atPort = atPort) {
  const open: ChosenRotator[] = [];
  const proxies: CutProxy[] = [];
  const said: unknown[] = [];
  const values: string[] = [];
  return {
    rotatorOf(job: RotationJob): ChosenRotator {
      const rotator = driver.rotator(job);
      open.push(rotator);
      return rotator;
    },
    /** The job as seen through a proxy that can cut. */
    async behind(job: RotationJob): Promise<[RotationJob, CutProxy]> {
      const proxy = await startCutProxy({ host: job.target.host, port: job.target.port });
      proxies.push(proxy);
      return [at(job, proxy.port), proxy];
    },
    draw(text = freshValue()): [Secret, string] {
      values.push(text);
      return [new Secret(text), text];
    },
    currentOf(job: RotationJob): string {
      const text = job.current?.reveal() ?? '';
      values.push(text);
      return text;
    },
    async heard<T>(answer: Promise<T>): Promise<T> {
      const result = await answer;
      said.push(result);
      return result;
    },
    /** Closes everything, and fails if an answer held a value. */
    async clear(): Promise<void> {
      for (const rotator of open.splice(0)) await expect(rotator.close()).resolves.toBeUndefined();
      for (const proxy of proxies.splice(0)) await proxy.stop();
      const text = JSON.stringify(said.splice(0));
      for (const value of values.splice(0)) {
        expect(value !== '' && text.includes(value), 'an answer holds a value').toBe(false);
      }
    },
  };
}
