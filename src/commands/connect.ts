import type { Arranged } from '../connect/arrange.ts';
import { visitTarget } from '../connect/visit.ts';
import { effective } from '../engine/plan.ts';
import { KeyturnError } from '../errors.ts';
import { formatDuration } from '../manifests/durations.ts';
import { applyPlan, makePlan } from '../run.ts';
import { tell } from '../tell.ts';
import { printNotes } from './apply.ts';
import { mayAssent } from './confirm.ts';
import { type Context, sessionIfReadable } from './context.ts';

/**
 * `keyturn connect NAME [-- COMMAND]`: a session on the target by a credential that nobody sees. Ends as what was run
 * in it does; what is to be done afterwards is said and never changes that.
 */
export async function connect(
  context: Context,
  name: string,
  words: readonly string[],
  options: { host?: string | undefined; tty: boolean },
): Promise<number> {
  const { host, console } = context;
  const visited = await visitTarget(host, {
    ...{ name, words, tty: options.tty, host: options.host, identity: context.identity },
    say: (text) => console.words(`keyturn: ${text}`),
    warn: (text) => console.warn(`keyturn: ${text}`),
    give: (data) => console.data(data),
  });
  const { arranged, code, failure, used, closed } = visited;
  if (used && closed) await afterwards(context, arranged);
  if (code === null) throw failure;
  return code;
}

/** Rotates where this identity may, and leaves it to the next job elsewhere: the record of the session is the wish. */
async function afterwards(context: Context, { secret, access }: Arranged): Promise<void> {
  const { console } = context;
  const { rotateAfter } = access;
  if (rotateAfter === null) return;
  const say = (text: string): void => console.words(`keyturn: ${text}`);
  if (rotateAfter > 0) {
    say(`${secret.name} is rotated by the first job after ${formatDuration(rotateAfter)} without a session`);
    return;
  }
  try {
    const done = await rotateNow(context, secret.name);
    say(done ?? `${secret.name} is rotated by the next job`);
  } catch (error) {
    if (!(error instanceof KeyturnError)) throw error;
    say(`${secret.name} is rotated by the next job: ${error.message}`);
  }
}

/** What came of it; null where this identity may not, or not yet. */
async function rotateNow(context: Context, name: string): Promise<string | null> {
  const session = await sessionIfReadable(context);
  if (session === null || session.identity.signer === null) return null;
  const plan = await makePlan(session, { only: [name], assent: mayAssent(context) });
  const actions = effective(plan).filter(({ verb }) => verb === 'rotate');
  if (actions.length === 0) return null;
  if (plan.unsafe.length > 0) return `${name} is not rotated here: ${plan.unsafe.join('; ')}`;
  const { results, followed } = await applyPlan(session, plan);
  printNotes(context.console, await tell(session, plan, results));
  if (followed !== null) context.console.words(`keyturn: ${followed}`);
  const done = results.find(({ verb }) => verb === 'rotate');
  if (done === undefined) return null;
  return done.outcome === 'done'
    ? `${name} was rotated to v${done.version}`
    : `${name} is rotated by the next job: ${done.detail}`;
}
