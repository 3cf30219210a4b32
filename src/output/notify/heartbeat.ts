/** Tells a monitor that a job has come to its end: healthchecks.io and its like, or anything that takes a POST. */
import type { Secret } from '../../secret.ts';
import { request } from './http.ts';

export interface Heartbeat {
  project: string;
  /** Exit code of the run: the monitor hears that it ran, and may look whether all was well. */
  exit: number;
  serial: number;
  /** ISO time. */
  at: string;
}

/** One POST of JSON. Throws `Undelivered`. */
export async function sendHeartbeat(url: Secret, heartbeat: Heartbeat): Promise<void> {
  await request(url.reveal(), { method: 'POST', body: JSON.stringify({ format: 1, ...heartbeat }) });
}
