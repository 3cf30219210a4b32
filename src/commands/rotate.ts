import { KeyturnError } from '../errors.ts';
import { makePlan, refuseUnpublished } from '../run.ts';
import { carryOut } from './apply.ts';
import { mayAssent } from './confirm.ts';
import { type Command, sessionWithProgress } from './context.ts';
import { flagWish } from './flag.ts';

/** `keyturn rotate NAME…`: now, or with `--flag` by the next job, for which push rights suffice. */
export const rotate: Command<
  [string[], { flag: boolean; reason?: string | undefined; force: boolean; toVersion?: number | undefined }]
> = async (context, names, options) => {
  const { toVersion } = options;
  if (toVersion !== undefined && (options.flag || names.length > 1))
    throw new KeyturnError('--to-version', 'is for one secret, and for now', {
      hint: 'keyturn rotate NAME --to-version N',
    });
  if (options.flag) return flagWish(context, names, options.reason ?? '');
  const { session, progress } = await sessionWithProgress(context);
  await refuseUnpublished(session);
  const { reason, force } = options;
  const assent = mayAssent(context);
  const request = { only: names, rotate: names, reason, toVersion, force, assent };
  return (await carryOut(context, session, progress, await makePlan(session, request), request)).code;
};
