import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import picomatch from 'picomatch';
import { agenda } from '../engine/agenda.ts';
import type { Plan } from '../engine/model.ts';
import { overdueSince } from '../engine/notices.ts';
import { effective, recordOf } from '../engine/plan.ts';
import { relative } from '../engine/words.ts';
import { KeyturnError } from '../errors.ts';
import { renderAgendaMarkdown, renderAgendaText } from '../output/agenda.ts';
import { renderJson } from '../output/json.ts';
import { renderPlanJson } from '../output/plan-json.ts';
import { renderPlanMarkdown } from '../output/plan-markdown.ts';
import { renderPlanText } from '../output/plan-text.ts';
import { reviewAgainst } from '../review.ts';
import { makePlan, type PlanRequest, type Session } from '../run.ts';
import { mayAssent } from './confirm.ts';
import { type Command, type Context, quietSession } from './context.ts';

export type Format = 'text' | 'markdown' | 'json';

/** `keyturn plan`: what apply would do. Changes nothing; talks to git alone. */
export const plan: Command<
  [
    PlanRequest & {
      format: Format;
      out?: string | undefined;
      detailedExitcode: boolean;
      days?: number | undefined;
      failOverdue: boolean;
      against?: string | undefined;
    },
  ]
> = async (context, options) => {
  if (options.against !== undefined) {
    const changes = await reviewAgainst(context.host, options.against);
    printPlan(context, changes, options.format);
    return options.detailedExitcode && effective(changes).length > 0 ? 2 : 0;
  }
  const session = await quietSession(context);
  const made = await makePlan(session, { ...options, assent: mayAssent(context) });
  if (options.days === undefined) printPlan(context, made, options.format);
  else printAgenda(context, session, options.days, options);
  if (options.out !== undefined) {
    const file = resolve(context.host.cwd, options.out);
    await writeFile(file, renderPlanJson(made), { mode: 0o600 }).catch((error: NodeJS.ErrnoException) => {
      throw new KeyturnError(options.out ?? '', `cannot be written (${error.code})`, {
        hint: 'choose another --out FILE',
      });
    });
    context.console.words(
      `keyturn: wrote the plan to ${options.out}; keyturn apply --plan ${options.out} applies exactly it`,
    );
  }
  if (options.failOverdue && sayOverdue(context, session)) return 3;
  return options.detailedExitcode && effective(made).length > 0 ? 2 : 0;
};

/** `--days N`: instead of what is to do now, what rotates when. */
function printAgenda(
  { console }: Context,
  { desired, ledger, world }: Session,
  days: number,
  { format, only }: { format: Format } & PlanRequest,
): void {
  const wanted = only && only.length > 0 ? picomatch([...only], { dot: true }) : undefined;
  const entries = agenda(desired, ledger.state, world.clock.now(), days, wanted);
  if (format === 'json') console.data(renderJson(entries));
  else if (format === 'markdown') console.data(renderAgendaMarkdown(entries, days));
  else console.data(renderAgendaText(entries, days, { color: console.color.data }));
}

/** `--fail-overdue`, for a monitor outside that notices when the job itself has stopped. */
function sayOverdue({ console }: Context, session: Session): boolean {
  const late = overdueSecrets(session);
  for (const line of late) console.warn(line);
  return late.length > 0;
}

/** A line for each secret that should have been rotated longer ago than its schedule tolerates. */
export function overdueSecrets({ desired, ledger, world }: Session): string[] {
  const now = world.clock.now();
  return [...desired.secrets.values()].flatMap((secret) => {
    const record = recordOf(secret, ledger.state.records);
    const since = record && overdueSince(record, secret, now);
    return since ? [`overdue: ${secret.name}, should have been rotated ${relative(since, now)}`] : [];
  });
}

export function printPlan({ console }: Context, made: Plan, format: Format): void {
  if (format === 'json') console.data(renderPlanJson(made));
  else if (format === 'markdown') console.data(renderPlanMarkdown(made));
  else console.data(renderPlanText(made, { color: console.color.data }));
}
