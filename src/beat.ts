/** The heartbeat of the job: a cron that died says nothing, so something outside must miss it. */
import { type ExitCode, KeyturnError } from './errors.ts';
import { sendHeartbeat } from './output/notify/heartbeat.ts';
import { Undelivered } from './output/notify/http.ts';
import type { Session } from './run.ts';
import { type Note, resolveFor } from './tell.ts';

/** Nothing where keyturn.yaml names no monitor; a warning where it could not be told. Never fails a run. */
export async function beat(session: Session, exit: ExitCode): Promise<Note[]> {
  const { desired, ledger, world } = session;
  const { heartbeat, name: project } = desired.project;
  if (!heartbeat) return [];
  try {
    const url = await resolveFor(session, heartbeat.url, 'heartbeat');
    const { serial } = ledger.state;
    await sendHeartbeat(url, { project, exit, serial, at: world.clock.now().toISOString() });
    return [];
  } catch (error) {
    if (!(error instanceof Undelivered) && !(error instanceof KeyturnError)) throw error;
    const why = error instanceof Undelivered ? error.code : error.what;
    return [{ level: 'warning', text: `heartbeat: not sent (${why})` }];
  }
}
