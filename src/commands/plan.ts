import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Plan } from '../engine/model.ts';
import { effective } from '../engine/plan.ts';
import { KeyturnError } from '../errors.ts';
import { renderPlanJson } from '../output/plan-json.ts';
import { renderPlanMarkdown } from '../output/plan-markdown.ts';
import { renderPlanText } from '../output/plan-text.ts';
import { makePlan, type PlanRequest } from '../run.ts';
import { type Command, type Context, quietSession } from './context.ts';

export type Format = 'text' | 'markdown' | 'json';

/** `keyturn plan`: what apply would do. Changes nothing; talks to git alone. */
export const plan: Command<
  [PlanRequest & { format: Format; out?: string | undefined; detailedExitcode: boolean }]
> = async (context, options) => {
  const session = await quietSession(context);
  const made = await makePlan(session, options);
  printPlan(context, made, options.format);
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
  return options.detailedExitcode && effective(made).length > 0 ? 2 : 0;
};

export function printPlan({ console }: Context, made: Plan, format: Format): void {
  if (format === 'json') console.data(renderPlanJson(made));
  else if (format === 'markdown') console.data(renderPlanMarkdown(made));
  else console.data(renderPlanText(made, { color: console.color.data }));
}
