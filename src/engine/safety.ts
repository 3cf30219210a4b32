/** Is this plan safe, and if not why. PURE. */
import type { Project } from '../manifests/model.ts';
import type { Action } from './model.ts';

/** Below this many secrets a share says nothing: one of two is half of everything. */
const shareMatters = 10;

/** One sentence per broken limit; empty when the plan may be applied without `--force`. */
export function unsafeReasons(
  actions: readonly Action[],
  total: number,
  limits: Project['limits'],
): string[] {
  const changing = actions.filter((action) => action.verb === 'rotate');
  const reasons: string[] = [];
  if (changing.length > limits.maxRotations)
    reasons.push(`${changing.length} rotations are more than limits.maxRotations (${limits.maxRotations})`);
  const share = total === 0 ? 0 : changing.length / total;
  if (total >= shareMatters && share > limits.maxShare)
    reasons.push(
      `${percent(share)} of ${total} secrets would rotate, more than limits.maxShare (${percent(limits.maxShare)})`,
    );
  return reasons;
}

const percent = (share: number): string => `${Math.round(share * 100)}%`;
