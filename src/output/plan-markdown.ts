import type { Action, Plan, PlanGroup } from '../engine/model.ts';
import { changeOf, subjectOf } from './action-columns.ts';
import { fitTables, inert, type TableBlock, tableHead, tableRow } from './markdown.ts';
import { countVerbs, nothingToDo, planCounts, shortChecksum, verbs } from './verbs.ts';

/** First line of every plan comment, so that a bot finds its own and updates it in place. */
export const planMarker = '<!-- keyturn plan -->';

const foldedFrom = 11;
const mostReasons = 10;

export interface PageOptions {
  /** Most characters; 60000 when absent, below GitHub's 65536. */
  limit?: number;
  /** First line; `planMarker` when absent. */
  marker?: string;
  /** Heading, a phrase of ours. */
  title?: string;
}

/**
 * The plan as a pull-request comment: why it is unsafe, the counts, a table a target. Never longer than the limit:
 * later actions are left out and counted.
 */
export function renderPlanMarkdown(plan: Plan, options: PageOptions = {}): string {
  const limit = options.limit ?? 60_000;
  const blocks = plan.groups
    .filter((group) => group.actions.length > 0 || group.warnings.length > 0)
    .map(groupBlock);
  const summary = plan.groups.every((group) => group.actions.length === 0)
    ? inert(nothingToDo(plan))
    : `**plan: ${planCounts(plan)}**, serial ${plan.serial}, \`${inert(shortChecksum(plan))}\``;
  const top = pageTop(options);
  const head = [...top, ...unsafeLines(plan.unsafe, limit / 2), summary].join('\n\n');
  return fitTables(
    head,
    blocks,
    limit,
    (actions) => `_${actions} of the actions left out here: \`keyturn plan\` prints them all._`,
  );
}

/** What every page starts with that a bot finds again. */
export const pageTop = ({ marker, title }: PageOptions): string[] => [
  marker ?? planMarker,
  ...(title === undefined ? [] : [`### ${title}`]),
];

function unsafeLines(reasons: readonly string[], budget: number): string[] {
  if (reasons.length === 0) return [];
  const lines: string[] = [];
  let left = budget;
  for (const reason of reasons.slice(0, mostReasons)) {
    const line = `> **unsafe:** ${inert(reason)}<br>`;
    left -= line.length + 1;
    if (left < 0) break;
    lines.push(line);
  }
  if (lines.length < reasons.length)
    lines.push(`> **unsafe:** ${reasons.length - lines.length} more reasons<br>`);
  return [['> [!WARNING]', ...lines, '> Read the plan, then apply with `--force`.'].join('\n')];
}

function groupBlock(group: PlanGroup): TableBlock {
  const title = `<b>${inert(group.target)}</b> (${inert(group.label)})`;
  const folded = group.actions.length >= foldedFrom;
  const counts = countVerbs(
    group.actions.map((action) => action.verb),
    'planned',
  ).join(', ');
  const warnings = group.warnings.map((warning) => `warning: ${inert(warning)}`);
  // Outside the fold: a warning is said in every plan.
  const heading = folded
    ? [...warnings, `<details><summary>${title}: ${counts}</summary>`]
    : [title, ...warnings];
  const table = group.actions.length > 0 ? [tableHead(['', 'action', 'secret', 'version', 'reason'])] : [];
  return {
    before: [...heading, ...table].join('\n\n'),
    rows: group.actions.map(actionRow),
    after: folded ? '\n</details>' : '',
  };
}

function actionRow(action: Action): string {
  const cells = [verbs[action.verb].sign, action.verb, subjectOf(action), changeOf(action), action.reason];
  return tableRow(cells.map(inert));
}
