/** What must hold of a secret at any instant, whoever has just died. */
import pLimit from 'p-limit';
import { promotedVersions } from '../../src/reader.ts';
import { openSession } from '../../src/run.ts';
import type { SecretRecord } from '../../src/state/model.ts';
import type { DatabaseServer } from '../servers/server.ts';
import { held, logsIn } from './databases.ts';
import type { Machine, World } from './world.ts';

export interface Seen {
  record: SecretRecord;
  /** Every recorded version, decrypted from the remote tip. */
  values: Map<number, { username: string; value: string }>;
  /** What consumers read. */
  pointer: number | null;
}

/** Everything recorded at the remote's tip, by secret name; each value is taught to the canary. */
export async function recorded(world: World, observer: Machine): Promise<Map<string, Seen>> {
  const { ledger } = await openSession(world.host(observer), {});
  const records = Object.values(ledger.state.records);
  const names = records.map(({ name }) => name);
  const pointers = await promotedVersions(world.host(observer), names);
  const limit = pLimit(4);
  const all = await Promise.all(
    records.map(async (record): Promise<[string, Seen]> => {
      const versions = await Promise.all(
        Object.entries(record.versions).map(([v, { username }]) =>
          limit(async () => {
            const value = (await ledger.readVersion(record, Number(v))).value.reveal();
            world.canary.learn(`v${v} of ${record.name}`, value);
            return [Number(v), { username, value }] as const;
          }),
        ),
      );
      const pointer = pointers.get(record.name) ?? null;
      return [record.name, { record, values: new Map(versions), pointer }];
    }),
  );
  return new Map(all);
}

export interface Verdict {
  /** Versions that the server accepts now. */
  accepted: number[];
  problems: string[];
}

/**
 * I1: as many recorded values log in as the server stores, and at least one. I5: with grace the value that
 * consumers read logs in. I6: it may only be dead where its successor is recorded as pending.
 */
export async function judge(
  server: DatabaseServer,
  seen: Seen,
  usernames: readonly string[],
  grace: boolean,
): Promise<Verdict> {
  const { record, values, pointer } = seen;
  const accepted: number[] = [];
  for (const [v, { username, value }] of values) if (await logsIn(server, username, value)) accepted.push(v);
  let stored = 0;
  for (const username of usernames) stored += await held(server, username);
  const problems: string[] = [];
  const told = `recorded ${[...values.keys()].join()}, accepted ${accepted.join() || 'none'}, current ${pointer}, pending ${record.pending?.v ?? 'none'}`;
  if (accepted.length === 0) problems.push(`I1: no recorded value logs in (${told})`);
  if (accepted.length !== stored) problems.push(`I1: the server holds ${stored} values (${told})`);
  if (pointer !== record.current) problems.push(`I3: the pointer is not the record's current (${told})`);
  const dead = pointer !== null && !accepted.includes(pointer);
  if (dead && grace) problems.push(`I5: consumers read a dead value (${told})`);
  if (dead && record.pending === null)
    problems.push(`I3, I6: current is dead and nothing is pending (${told})`);
  return { accepted, problems };
}
