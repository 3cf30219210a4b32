/** One account behind a custom rotator: each method is one question over https. */
import { randomUUID } from 'node:crypto';
import { fillPayload } from '../../manifests/payload.ts';
import type { ChosenRotator, GivenResult, Probe, RetireResult, RotationJob, SetResult } from '../driver.ts';
import { isPortable } from '../portable.ts';
import { rotatedBy, type Status, statusBy, verifiedBy } from './answer.ts';
import { ask, type Line, type Question } from './call.ts';
import type { HttpResult } from './http.ts';
import { preflight } from './preflight.ts';

/** Tries of one claim; those of the next count on from there. */
const triesOfClaim = 100;

export function createRotator(job: RotationJob, maxLength: number): ChosenRotator {
  const { custom, username } = job;
  if (custom === undefined) throw new Error('a web target without a custom rotator');
  const line = lineOf(job);
  const can = (operation: 'verify' | 'revoke' | 'status'): boolean => custom.operations.includes(operation);
  let asked = ((job.attempt ?? 1) - 1) * triesOfClaim;
  /** Values that the rotator has said it made live. */
  const acknowledged = new Set<string>();
  /** An earlier request may have arrived, so that a refusal of this one proves nothing. */
  let uncertain = (job.attempt ?? 1) > 1;
  let refused = false;

  const put = (question: Pick<Question, 'operation' | 'key' | 'again'>, fields: Question['fields']) => {
    const current = job.current?.reveal();
    const payload = fillPayload(custom.payload, {
      username,
      ...(current === undefined ? {} : { password: current }),
      ...(job.currentId === undefined ? {} : { id: job.currentId }),
    });
    const first = asked + 1;
    asked += 10;
    return ask(line, { ...question, attempt: first, payload, fields: { username, ...fields } });
  };
  /** Questions that change nothing are never answered from what was stored; one attempt each. */
  const look = (operation: 'verify' | 'status', fields: Question['fields']): Promise<HttpResult> =>
    put({ operation, key: randomUUID(), again: 'never' }, fields);
  const verify = async (password: string): Promise<Probe> =>
    can('verify')
      ? verifiedBy(await look('verify', { password }))
      : { r: 'inconclusive', code: 'NO_VERIFY', detail: 'the rotator has no operation to verify a value' };
  const status = async (key: string | undefined): Promise<Status> =>
    key === undefined || !can('status')
      ? { r: 'unknown' }
      : statusBy(await look('status', { operation_id: key }));

  return {
    proof: can('verify') ? 'login' : 'witness',

    preflight: () => preflight(job, line, verify),

    async witness(value, baseline) {
      // what the rotator says of itself is proof only where nothing better can be had
      const word = can('verify') ? 'unknown' : 'applied';
      if (acknowledged.has(value.reveal())) return word;
      const known = await status(baseline.key);
      if (known.r === 'not-applied') return known.r;
      if (known.r === 'applied')
        return known.given === null || known.given.value.reveal() === value.reveal() ? word : 'unknown';
      if (refused) return uncertain ? 'unknown' : 'not-applied';
      // asking again under the same key, with the same value, is what the key is for
      return custom.replays || !can('verify') ? 'not-applied' : 'unknown';
    },

    probe: (value) => verify(value.reveal()),

    async set(value, baseline): Promise<SetResult> {
      const proposed = value.reveal();
      if (!isPortable(proposed, maxLength))
        return {
          r: 'refused',
          why: 'policy',
          code: 'ALPHABET',
          detail: 'the value has a symbol that is not sent',
        };
      // a later claim has seen by a login that the value is not there, or may set it twice: what was stored for the
      // first one is no answer to that
      const { key: first = randomUUID() } = baseline;
      const key = can('verify') && (job.attempt ?? 1) > 1 ? `${first}-${job.attempt}` : first;
      // where the former value shall stay, a second call that is not known as one would end it
      if (job.retain && !custom.replays && can('verify') && (await verify(proposed)).r === 'ok')
        return { r: 'applied', code: 'VALID', detail: 'it is valid already' };
      const again =
        !custom.replays && (job.retain || job.actor === 'self') ? { again: 'unsent' as const } : {};
      const result = rotatedBy(
        await put(
          { operation: 'rotate', key, ...again },
          { proposed_password: proposed, retain: job.retain, password_policy: policyOf(job) },
        ),
      );
      if (result.r === 'refused') refused = true;
      if (result.r === 'ambiguous') uncertain = true;
      if (result.r !== 'applied') return result;
      if (result.given !== null && result.given.value.reveal() !== proposed)
        return {
          r: 'other',
          given: result.given,
          code: 'OTHER_VALUE',
          detail: 'the rotator answered another value',
        };
      acknowledged.add(proposed);
      return { r: 'applied', code: result.code, detail: result.detail };
    },

    async obtain(key): Promise<GivenResult> {
      const known = await status(key);
      if (known.r === 'applied' && known.given !== null)
        return { r: 'given', code: 'STATUS', detail: 'the rotator had made it', given: known.given };
      const again = !custom.replays && job.actor === 'self' ? { again: 'unsent' as const } : {};
      const fields = { retain: job.retain, password_policy: policyOf(job) };
      const result = rotatedBy(await put({ operation: 'rotate', key, ...again }, fields));
      if (result.r !== 'applied') return result;
      const { code, detail, given } = result;
      if (given === null)
        return { r: 'ambiguous', code: 'NO_VALUE', detail: 'the rotator answered without a value' };
      acknowledged.add(given.value.reveal());
      return { r: 'given', code, detail, given };
    },

    async retire(live): Promise<RetireResult> {
      const { ends } = job;
      if (ends === undefined || !can('revoke') || ends.reveal() === live?.reveal())
        return { r: 'retired', code: 'NOTHING', detail: 'nothing is left to revoke' };
      const key = `revoke-${job.mark.uid}-${job.mark.version}`;
      const result = rotatedBy(await put({ operation: 'revoke', key }, { password: ends.reveal() }));
      if (result.r === 'applied')
        return { r: 'retired', code: result.code, detail: 'the rotator revoked it' };
      const said = { code: result.code, detail: result.detail };
      return result.r === 'refused' ? { r: 'refused', ...said } : { r: 'unreachable', ...said };
    },

    async close() {},
  };
}

const policyOf = ({ custom }: RotationJob): Record<string, unknown> | undefined =>
  custom && (custom.hasPolicy || custom.generate === 'ours')
    ? {
        length: custom.policy.length,
        lower: custom.policy.lowercase,
        upper: custom.policy.uppercase,
        digits: custom.policy.numbers,
        symbols: custom.policy.symbols,
        ...(custom.policy.exclude === '' ? {} : { exclude: custom.policy.exclude }),
      }
    : undefined;

function lineOf({ target, custom, caller }: RotationJob): Line {
  const { web, host, port, tls, timeout } = target;
  if (web === undefined || custom === undefined || caller === undefined)
    throw new Error('a custom rotator without its web target');
  const name = host.includes(':') ? `[${host}]` : host;
  return {
    endpoint: {
      url: new URL(web.path, `https://${name}:${port}`).href,
      ca: tls.ca,
      serverName: tls.serverName,
      client: caller.client,
      allowAddresses: web.allowAddresses,
      timeout,
    },
    header: web.header,
    audience: web.audience,
    accessId: web.accessId,
    itemName: `/${custom.itemName}`,
    authenticate: caller.authenticate,
  };
}
