/** One commit of a person's decision, with the same words for every way it can fail. */
import { KeyturnError } from '../errors.ts';
import type { Session } from '../run.ts';
import type { Change } from '../state/ledger.ts';
import type { Context } from './context.ts';

/** `what` completes `keyturn: …`. Throws KeyturnError unless every change is in the remote. */
export async function writeChanges(
  context: Context,
  session: Session,
  changes: readonly Change[],
  what: string,
): Promise<void> {
  const outcome = await session.ledger.commit(changes, `keyturn: ${what}`);
  if (outcome.r === 'refused')
    throw new KeyturnError(session.repository.place, `refused the push: ${outcome.detail}`, {
      hint: 'you need the right to push there',
    });
  if (outcome.r === 'unknown')
    throw new KeyturnError(session.repository.place, `did not answer: ${outcome.detail}`, {
      hint: 'run it again',
      exit: 75,
      left: 'unknown',
    });
  const [lost] = outcome.lost;
  if (lost)
    throw new KeyturnError(lost.name, 'was changed by another run meanwhile', {
      hint: 'look at it again, then repeat',
      exit: 75,
    });
  const followed = await session.repository.followTip(outcome.commit);
  context.console.words(`keyturn: ${what}: pushed ${outcome.commit.slice(0, 7)}`);
  if (followed !== null) context.console.words(`keyturn: ${followed}`);
}
