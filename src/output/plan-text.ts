import picocolors from 'picocolors';
import type { Action, Plan, PlanGroup, Verb } from '../engine/model.ts';
import { changeOf, subjectOf } from './action-columns.ts';
import { cleanLine } from './clean.ts';
import { pad, widest } from './tables.ts';
import { nothingToDo, planCounts, shortChecksum, verbs } from './verbs.ts';

type Colors = ReturnType<typeof picocolors.createColors>;

const gap = '   ';
const verbWidth = widest(Object.keys(verbs));

/**
 * The plan as people read it (design §3): a headline a target, a line an action, then the counts. Groups
 * and actions stay in the plan's order. No newline at the end.
 */
export function renderPlanText(plan: Plan, options: { color: boolean }): string {
  const colors = picocolors.createColors(options.color);
  const actions = plan.groups.flatMap((group) => group.actions);
  const widths = {
    subject: widest(actions.map((action) => cleanLine(subjectOf(action)))),
    change: widest(actions.map(changeOf)),
  };

  const groups = plan.groups
    .filter((group) => group.actions.length > 0 || group.warnings.length > 0)
    .flatMap((group) => groupLines(group, widths, colors));

  const unsafe = plan.unsafe.map((reason) => `${colors.red('unsafe:')} ${cleanLine(reason)}`);
  if (unsafe.length > 0) unsafe.push('hint: read the plan, then apply with --force');

  const summary =
    actions.length === 0
      ? nothingToDo(plan)
      : `${colors.bold('plan:')} ${planCounts(plan)}     serial ${plan.serial}     ${cleanLine(shortChecksum(plan))}`;
  return [...groups, ...(groups.length > 0 ? [''] : []), summary, ...unsafe].join('\n');
}

function groupLines(group: PlanGroup, widths: { subject: number; change: number }, colors: Colors): string[] {
  return [
    `${colors.bold(cleanLine(group.target))} (${cleanLine(group.label)})`,
    ...group.warnings.map((warning) => `  ${colors.yellow('warning:')} ${cleanLine(warning)}`),
    ...group.actions.map((action) => actionLine(action, widths, colors)),
  ];
}

function actionLine(action: Action, widths: { subject: number; change: number }, colors: Colors): string {
  const paint = paintOf(action.verb, colors);
  const columns = [
    `  ${paint(`${verbs[action.verb].sign} ${pad(action.verb, verbWidth)}`)}`,
    pad(cleanLine(subjectOf(action)), widths.subject),
    ...(widths.change > 0 ? [pad(changeOf(action), widths.change)] : []),
    cleanLine(action.reason),
  ];
  return columns.join(gap).trimEnd();
}

function paintOf(verb: Verb, colors: Colors): (text: string) => string {
  switch (verb) {
    case 'adopt':
      return colors.green;
    case 'rotate':
    case 'rekey':
      return colors.cyan;
    case 'resume':
    case 'forget':
      return colors.yellow;
    case 'retire':
      return colors.magenta;
    case 'block':
      return colors.red;
    case 'verify':
    case 'hold':
      return colors.dim;
  }
}
