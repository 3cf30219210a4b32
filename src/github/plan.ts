/** `command: plan`: what apply would do, as log, job summary and the one comment of the pull request. */

import { quietSession } from '../commands/context.ts';
import { overdueSecrets } from '../commands/plan.ts';
import type { Plan } from '../engine/model.ts';
import { effective } from '../engine/plan.ts';
import { type ExitCode, KeyturnError } from '../errors.ts';
import { renderErrorsMarkdown } from '../output/errors-markdown.ts';
import { renderPlanMarkdown } from '../output/plan-markdown.ts';
import { renderPlanText } from '../output/plan-text.ts';
import { reviewAgainst } from '../review.ts';
import { makePlan, type Session } from '../run.ts';
import type { PullRequest } from './event.ts';
import { setOutputs } from './files.ts';
import type { Failure } from './inputs.ts';
import type { Job } from './job.ts';
import { publish } from './page.ts';

/** Fails on errors and on what `fail-on` names; warns of an unsafe plan. A comment that cannot be written is a warning. */
export async function planAction(job: Job): Promise<ExitCode> {
  const { context } = job;
  const { console } = context;
  const keyed = hasKey(job);
  const title = keyed ? 'keyturn: what apply does now' : 'keyturn: what this changes';
  let made: Plan;
  let session: Session | null = null;
  try {
    if (job.pull !== null && !keyed) made = await against(job, job.pull);
    else {
      session = await quietSession(context);
      made = await makePlan(session, { only: job.inputs.only });
    }
  } catch (error) {
    await publish(job, { title, empty: false, render: (options) => renderErrorsMarkdown(error, options) });
    throw error;
  }
  console.words(renderPlanText(made, { color: console.color.words }));
  const changes = effective(made).length;
  const empty = made.groups.every((group) => group.actions.length === 0);
  await publish(job, { title, empty, render: (options) => renderPlanMarkdown(made, options) });
  setOutputs(context.host, { changes: String(changes), checksum: made.checksum });
  const { failOn } = job.inputs;
  const level = (failure: Failure): 'error' | 'warning' => (failOn.has(failure) ? 'error' : 'warning');
  for (const reason of made.unsafe)
    console.command({ name: level('unsafe'), properties: { title: 'unsafe plan' }, message: reason });
  const late = session === null ? [] : overdueSecrets(session);
  for (const line of late) console.command({ name: level('overdue'), message: line });
  return verdict(failOn, { unsafe: made.unsafe.length > 0, changes: changes > 0, overdue: late.length > 0 });
}

function verdict(failOn: ReadonlySet<Failure>, found: Record<Exclude<Failure, 'errors'>, boolean>): ExitCode {
  if (failOn.has('unsafe') && found.unsafe) return 3;
  if (failOn.has('overdue') && found.overdue) return 3;
  return failOn.has('changes') && found.changes ? 2 : 0;
}

/** No key ever looks at a stranger's manifests, whatever is in the environment. */
function hasKey({ context, pull }: Job): boolean {
  const { KEYTURN_IDENTITY, KEYTURN_IDENTITY_FILE } = context.host.env;
  return pull === null || (!pull.fork && Boolean(KEYTURN_IDENTITY || KEYTURN_IDENTITY_FILE));
}

/** The manifests of the merge commit that the runner checks out against those of the branch that it merges into. */
async function against({ context: { host } }: Job, { base }: PullRequest): Promise<Plan> {
  const merge = host.env.GITHUB_SHA;
  const absent = (error: unknown): boolean => error instanceof KeyturnError && error.code === 'NO_COMMIT';
  for (const revision of [...(merge ? [`${merge}^1`] : []), base]) {
    try {
      return await reviewAgainst(host, revision);
    } catch (error) {
      if (!absent(error)) throw error;
    }
  }
  throw new KeyturnError(base, 'the commit to compare with is not in this clone', {
    hint: 'check out with `fetch-depth: 2`',
  });
}
