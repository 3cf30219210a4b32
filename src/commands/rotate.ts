import { ulid } from 'ulid';
import { KeyturnError } from '../errors.ts';
import { makePlan, refuseUnpublished } from '../run.ts';
import { wishFile } from '../state/wishes.ts';
import { carryOut } from './apply.ts';
import { type Command, quietSession, sessionWithProgress } from './context.ts';

/** `keyturn rotate NAME…`: now, or with `--flag` by the next job, for which push rights suffice. */
export const rotate: Command<
  [string[], { flag: boolean; reason?: string | undefined; force: boolean }]
> = async (context, names, options) => {
  if (options.flag) return flag(context, names, options.reason ?? '');
  const { session, progress } = await sessionWithProgress(context);
  await refuseUnpublished(session);
  const request = { only: names, rotate: names, reason: options.reason, force: options.force };
  return carryOut(context, session, progress, await makePlan(session, request), request);
};

const flag: Command<[string[], string]> = async (context, names, reason) => {
  const session = await quietSession(context);
  for (const name of names)
    if (!session.desired.secrets.has(name))
      throw new KeyturnError(name, 'no such secret', { hint: 'keyturn list shows the names' });
  const at = context.host.clock.now();
  const writes = names.map((secret) =>
    wishFile(ulid(at.getTime()), { secret, reason, at: at.toISOString() }),
  );
  const tip = await session.repository.fetch();
  const outcome = await session.repository.publish({
    base: tip,
    writes,
    subject: `keyturn: ask to rotate ${names.length === 1 ? names[0] : `${names.length} secrets`}`,
    body: reason,
  });
  if (outcome.r === 'published') {
    await session.repository.followTip(outcome.tip);
    context.console.words(`keyturn: the next apply rotates ${names.join(', ')}`);
    return 0;
  }
  throw outcome.r === 'refused'
    ? new KeyturnError(session.repository.place, `refused the wish: ${outcome.detail}`, {
        hint: 'a wish needs the right to push',
      })
    : new KeyturnError(session.repository.place, outcome.r === 'moved' ? 'moved meanwhile' : outcome.detail, {
        hint: 'run it again',
        exit: 75,
      });
};
