/** What can be known of a custom rotator before anything is claimed: may it be asked, is it there, is the value right? */
import { randomUUID } from 'node:crypto';
import { KeyturnError } from '../../errors.ts';
import { inspectPayload } from '../../manifests/payload.ts';
import type { Preflight, Probe, RotationJob } from '../driver.ts';
import { resolveSafely } from './addresses.ts';
import type { Line } from './call.ts';
import { greet } from './http.ts';

/** `verify`: one question about a value. Changes nothing. */
export async function preflight(
  job: RotationJob,
  line: Line,
  verify: (value: string) => Promise<Probe>,
): Promise<Preflight> {
  const { operations = [], payload = '' } = job.custom ?? {};
  const verifies = operations.includes('verify');
  if (job.retain && !operations.includes('revoke') && job.account.usernames.length === 1)
    return {
      r: 'refused',
      why: 'unsupported',
      code: 'NO_REVOKE',
      detail: 'the rotator has no operation to end the former value',
      hint: 'write operations: [rotate, revoke] where it can, or grace: 0s',
    };
  const needs = inspectPayload(payload).uses.includes('password') || job.actor === 'self';
  if (needs && job.current === undefined)
    return {
      r: 'refused',
      why: 'bad-current',
      code: 'NO_CURRENT',
      detail: 'the rotator needs the current value, and none is known',
      hint: 'set initial, or run keyturn adopt',
    };
  const place = (await reach(line)) ?? (await authenticated(line));
  if (place !== null) return place;
  const ready: Preflight = {
    r: 'ready',
    server: `custom rotator at ${line.endpoint.url}`,
    baseline: { key: randomUUID() },
    witness: operations.includes('status') && !verifies,
    markedVersion: null,
    warnings: verifies ? [] : ['the rotator verifies nothing, so its word is all there is'],
  };
  if (job.current === undefined || !verifies) return (await answers(line)) ?? ready;
  const probe = await verify(job.current.reveal());
  switch (probe.r) {
    case 'ok':
    case 'ok-restricted':
      return ready;
    case 'denied':
      if (job.actor === 'target')
        return { ...ready, warnings: [...ready.warnings, 'the recorded value is not accepted'] };
      return {
        r: 'refused',
        why: 'bad-current',
        code: probe.code,
        detail: 'the rotator says that the current value is not valid',
        hint: 'somebody changed it by hand: keyturn adopt takes the one that is live',
      };
    case 'blocked':
      return { ...probe, r: 'blocked' };
    default:
      return { ...probe, r: 'unreachable' };
  }
}

/** Whether somebody listens there whom we trust; nothing is said to them. */
async function answers({ endpoint, resolve }: Line): Promise<Preflight | null> {
  const greeted = await greet(endpoint, resolve);
  return greeted.r === 'answer' ? null : { r: 'unreachable', code: greeted.code, detail: greeted.detail };
}

/** Whether there is a token to show at all. */
async function authenticated({
  authenticate,
  audience,
  accessId,
  itemName,
  endpoint,
}: Line): Promise<Preflight | null> {
  const about = { audience, accessId, itemName, requestId: 'preflight', url: endpoint.url, bodySha256: '' };
  try {
    await authenticate(about);
    return null;
  } catch (error) {
    if (!(error instanceof KeyturnError)) throw error;
    const { what: detail, code = 'NO_TOKEN', hint = '' } = error;
    if (error.exit === 75) return { r: 'unreachable', code, detail };
    return { r: 'refused', why: 'permission', code, detail, hint };
  }
}

/** Where the name leads, before anything is claimed; whether somebody listens shows with the first question. */
async function reach({ endpoint }: Line): Promise<Preflight | null> {
  const { hostname } = new URL(endpoint.url);
  const resolved = await resolveSafely(hostname, endpoint.allowAddresses);
  if (resolved.r === 'allowed') return null;
  if (resolved.r === 'unknown')
    return { r: 'unreachable', code: resolved.code, detail: `${hostname} cannot be resolved` };
  return {
    r: 'refused',
    why: 'untrusted',
    code: 'FORBIDDEN_ADDRESS',
    detail: `${hostname} is ${resolved.address}, where no rotator may be`,
    hint: 'correct the url, or list the address in allowAddresses of the target',
  };
}
