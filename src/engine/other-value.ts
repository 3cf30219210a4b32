/** A target that was asked to set one value and says that it made another: that one may be live, so it is kept. */
import { found, nextVersion } from '../state/transitions.ts';
import type { Given } from '../targets/driver.ts';
import { type Attempt, keep, type Outcome } from './attempt.ts';
import type { World } from './world.ts';

export async function otherValue(attempt: Attempt, given: Given, world: World): Promise<Outcome> {
  const { record, secret, rotator, value } = attempt;
  const v = nextVersion(record);
  const username = given.username ?? record.versions[attempt.version]?.username ?? '';
  const { write, sealed } = await world.ledger.seal(
    record,
    v,
    { value: given.value, fields: { username } },
    attempt.recipients,
  );
  const to = found(record, { at: world.clock.now().toISOString(), username, sealed });
  const change = { uid: record.uid, name: secret.name, from: record, to, writes: [write] };
  const outcome = await world.ledger.commit([change], `keyturn: keep ${secret.name} v${v}`, [], ['issued']);
  const said = {
    code: 'OTHER_VALUE',
    detail: 'the target answered another value than the one it was asked to set',
  };
  if (outcome.r !== 'committed') return keep('set', 'other-value', said, { outcome: 'human' });
  if (outcome.lost.length > 0) return { r: 'lost', detail: 'another run took the claim over' };
  attempt.record = to;
  const probe = await rotator.probe(value);
  if (probe.r === 'ok') return { r: 'live', how: 'login', health: 'ok', alarm: null };
  return keep(
    'set',
    'other-value',
    { ...said, detail: `${said.detail}; it is kept as v${v}` },
    {
      outcome: 'human',
      hint: `write generate: rotator where the rotator makes the value; keyturn get ${secret.name} --version ${v} shows the one that it answered`,
    },
  );
}
