/** `command: apply`: the job after a merge, of the hour, or of a person who asks for a rotation. */
import { carryOutAll } from '../commands/apply.ts';
import { sessionWithProgress } from '../commands/context.ts';
import { effective } from '../engine/plan.ts';
import type { ExitCode } from '../errors.ts';
import { makePlan, type PlanRequest, refuseUnpublished } from '../run.ts';
import { setOutputs } from './files.ts';
import { type Job, listed } from './job.ts';

/** Ends as `keyturn apply` does, or as `keyturn rotate` where `rotate` names secrets: naming one is the yes to it. */
export async function applyAction({ context, inputs }: Job): Promise<ExitCode> {
  const { session, progress } = await sessionWithProgress(context);
  await refuseUnpublished(session);
  const { rotate, reason, only } = inputs;
  const request: PlanRequest = rotate.length > 0 ? { only: rotate, rotate, reason, assent: true } : { only };
  const made = await makePlan(session, request);
  const planned = { changes: String(effective(made).length), checksum: made.checksum };
  setOutputs(context.host, { ...planned, rotated: '', failed: '' });
  const { code, results } = await carryOutAll(context, session, progress, made, request);
  const named = (wanted: (result: (typeof results)[number]) => boolean): string =>
    listed(results.filter(wanted).map(({ secret }) => secret));
  setOutputs(context.host, {
    rotated: named(({ verb, outcome }) => verb === 'rotate' && outcome === 'done'),
    failed: named(({ outcome }) => outcome === 'failed' || outcome === 'human' || outcome === 'waiting'),
  });
  return code;
}
