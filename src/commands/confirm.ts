import { KeyturnError } from '../errors.ts';
import type { Context } from './context.ts';

/** Somebody can say yes to what needs an explicit one: by `--yes`, or because `confirm` is going to ask. */
export const mayAssent = ({ host, yes }: Context): boolean =>
  yes || (host.stdin.isTTY === true && host.stderr.isTTY === true);

/** Asks on a terminal; elsewhere a job was told to do it. `--yes` answers. Throws KeyturnError when the answer is no. */
export async function confirm(context: Context, question: string): Promise<void> {
  const { host, yes } = context;
  if (yes || host.stdin.isTTY !== true || host.stderr.isTTY !== true) return;
  const { confirm: ask } = await import('@inquirer/prompts');
  const agreed = await ask({ message: question, default: false }, { output: host.stderr }).catch(() => false);
  if (!agreed)
    throw new KeyturnError('apply', 'not confirmed, nothing was changed', {
      hint: '--yes answers the question',
    });
}
