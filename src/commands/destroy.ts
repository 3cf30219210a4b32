import { destroyed, endAtTarget } from '../engine/destroy.ts';
import { credentialSecrets } from '../engine/world.ts';
import { KeyturnError } from '../errors.ts';
import { refuseUnpublished, type Session } from '../run.ts';
import type { SecretRecord } from '../state/model.ts';
import { confirm } from './confirm.ts';
import { type Command, quietSession } from './context.ts';
import { findRecord } from './list.ts';
import { writeChanges } from './write.ts';

/**
 * `keyturn destroy NAME`: forgets a secret whose manifest is gone, with every value. `--retire` makes the target refuse
 * its value first; without it the target goes on accepting it.
 */
export const destroy: Command<[string, { retire: boolean }]> = async (context, name, { retire }) => {
  const session = await quietSession(context);
  await refuseUnpublished(session);
  const record = findRecord(session, name);
  refuse(session, record);
  const { current } = record;
  const what = current === null ? 'it has no value' : `its values up to v${current} leave the repository`;
  const there = retire ? 'the target refuses it from then on' : 'the target goes on accepting it';
  await confirm(context, `Destroy ${name}? ${what}, and ${there}.`);
  if (retire) {
    const ended = await endAtTarget(record, session.desired, session.world);
    if (ended.r === 'unreachable')
      throw new KeyturnError(name, `was not retired: ${ended.detail}`, {
        hint: `run it again, or without --retire to leave ${record.target} as it is`,
        exit: 75,
        left: 'unknown',
      });
    context.console.words(
      ended.r === 'retired'
        ? `keyturn: ${ended.detail}`
        : `keyturn: left as it is at the target: ${ended.detail}`,
    );
  } else context.console.words(`keyturn: left as it is at the target: ${record.target} goes on accepting it`);
  await writeChanges(context, session, [destroyed(record, session.world)], `destroy ${name}`);
  return 0;
};

function refuse({ desired, declared }: Session, record: SecretRecord): void {
  const { name } = record;
  const no = (what: string, hint: string): never => {
    throw new KeyturnError(name, what, { hint, exit: 3 });
  };
  const heir = [...desired.secrets.values()].find((secret) => secret.movedFrom === name);
  if (declared.has(name))
    no('is still declared', 'remove its manifest, commit and push that, then destroy it');
  if (heir) no(`moves to ${heir.name}`, 'keyturn apply moves it');
  if (credentialSecrets(desired).has(name))
    no('is what a target logs in with', 'give the target other credentials first');
  if (record.pending)
    no(
      `v${record.pending.v} is pending, and its value may be live`,
      `keyturn recover ${name} settles it first`,
    );
  if (record.protected ?? true)
    no(
      'is protected against deletion',
      'bring its manifest back with deleteProtection: false, run keyturn apply, then remove it again',
    );
}
