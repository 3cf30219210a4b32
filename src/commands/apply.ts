import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { beat } from '../beat.ts';
import type { Action, Plan, Result } from '../engine/model.ts';
import { nextRun } from '../engine/notices.ts';
import { effective, recordOf } from '../engine/plan.ts';
import { credentialSecrets } from '../engine/world.ts';
import { type ExitCode, KeyturnError } from '../errors.ts';
import { renderNextMarkdown } from '../output/agenda.ts';
import type { Console } from '../output/console.ts';
import { renderJson } from '../output/json.ts';
import { inert } from '../output/markdown.ts';
import { readPlanFile } from '../output/plan-json.ts';
import { renderPlanText } from '../output/plan-text.ts';
import type { Progress } from '../output/progress.ts';
import { nothingToDo } from '../output/verbs.ts';
import { applyPlan, makePlan, type PlanRequest, refuseUnpublished, type Session } from '../run.ts';
import { type Note, tell } from '../tell.ts';
import { confirm, mayAssent } from './confirm.ts';
import { type Command, type Context, sessionWithProgress } from './context.ts';

/** `keyturn apply`: carries the plan out. */
export const apply: Command<[PlanRequest & { plan?: string | undefined }]> = async (context, options) => {
  const reviewed = options.plan === undefined ? null : await readReviewed(context, options.plan);
  const { session, progress } = await sessionWithProgress(context);
  await refuseUnpublished(session);
  const made = await makePlan(session, { ...options, assent: mayAssent(context) });
  if (reviewed && reviewed.checksum !== made.checksum)
    throw new KeyturnError(options.plan ?? 'plan', 'is not what would be done now', {
      hint: 'state, manifests or the clock have moved on since it was made: run keyturn plan --out again and review it',
    });
  return (await carryOutAll(context, session, progress, made, options)).code;
};

/** `carryOut`, and where it was the whole plan the monitor hears that the job still runs. */
export async function carryOutAll(
  context: Context,
  session: Session,
  progress: Progress,
  plan: Plan,
  request: PlanRequest,
): Promise<Carried> {
  const carried = await carryOut(context, session, progress, plan, request);
  if ((request.only ?? []).length === 0) printNotes(context.console, await beat(session, carried.code));
  return carried;
}

export interface Carried {
  code: ExitCode;
  results: Result[];
}

/** Shows the plan, asks where somebody can answer, applies, sums up. */
export async function carryOut(
  context: Context,
  session: Session,
  progress: Progress,
  plan: Plan,
  request: PlanRequest,
): Promise<Carried> {
  const { console } = context;
  console.words(renderPlanText(plan, { color: console.color.words }));
  if (plan.unsafe.length > 0 && request.force !== true) {
    printNotes(console, await tell(session, plan, []));
    throw new KeyturnError('plan', `is not safe: ${plan.unsafe.join('; ')}`, {
      hint: 'review it, then run keyturn apply --force',
      exit: 3,
    });
  }
  const actions = effective(plan);
  if (actions.length > 0)
    await confirm(
      context,
      `Apply ${actions.length} ${actions.length === 1 ? 'change' : 'changes'}${among(session, actions)}?`,
    );
  const { results, followed } =
    actions.length > 0 ? await applyPlan(session, plan) : { results: [], followed: null };
  if (actions.length > 0) progress.end(results);
  if (console.actions) summarizeRest(console, session, plan);
  if (followed !== null) console.words(`keyturn: ${followed}`);
  printNotes(console, await tell(session, plan, results));
  if (context.json) console.data(renderJson({ plan, results }));
  return { code: worst(results, plan), results };
}

/** What a job summary has besides the results: when every secret rotates next. */
function summarizeRest(console: Console, { desired, ledger }: Session, plan: Plan): void {
  if (effective(plan).length === 0) console.summary(`### keyturn\n\n${inert(nothingToDo(plan))}`);
  const next = [...desired.secrets.values()].flatMap((secret) => {
    const record = recordOf(secret, ledger.state.records);
    const at = record && nextRun(record, secret)?.toISOString();
    return at ? [{ secret: secret.name, at, timezone: secret.schedule.timezone }] : [];
  });
  console.summary(renderNextMarkdown(next.sort((a, b) => (a.at < b.at ? -1 : 1))));
}

/** What people were told, or could not be, after everything else is done. */
export function printNotes(console: Console, notes: readonly Note[]): void {
  for (const { level, text } of notes) {
    if (level === 'info') console.words(`keyturn: ${text}`);
    else if (console.actions) console.command({ name: 'warning', message: text });
    else console.warn(`keyturn: ${text}`);
  }
}

/** The question names what every other secret of a target depends on. */
function among(session: Session, actions: readonly Action[]): string {
  const credentials = credentialSecrets(session.desired);
  const names = actions.filter((a) => a.verb === 'rotate' && credentials.has(a.secret)).map((a) => a.secret);
  return names.length === 0 ? '' : `, among them what targets log in with (${names.join(', ')})`;
}

/** A human's matter outranks a failure, which outranks what a rerun recovers. */
export function worst(results: readonly Result[], plan?: Plan): ExitCode {
  const has = (outcome: Result['outcome']): boolean => results.some((result) => result.outcome === outcome);
  const blocked =
    plan?.groups.some((group) => group.actions.some((action) => action.verb === 'block')) === true;
  if (has('human') || blocked) return 3;
  if (has('failed')) return 1;
  return has('waiting') ? 75 : 0;
}

async function readReviewed(context: Context, file: string): Promise<Plan> {
  const text = await readFile(resolve(context.host.cwd, file), 'utf8').catch(
    (error: NodeJS.ErrnoException) => {
      throw new KeyturnError(file, `cannot be read (${error.code})`, {
        hint: 'keyturn plan --out FILE makes it',
      });
    },
  );
  return readPlanFile(text, file);
}
