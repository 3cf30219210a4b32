import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { fingerprint } from '../../src/age/age.ts';
import { loadIdentity } from '../../src/state/identity.ts';
import { append, type Folded, fold, type JournalChange } from '../../src/state/journal.ts';
import type { SecretRecord, VersionRecord } from '../../src/state/model.ts';
import { type Desk, takeDesk } from '../commands/desk.ts';
import { reader, record } from '../state/people.ts';

/** `access --exposed` against a history that was written by hand, a segment a commit. */

let desk: Desk;
beforeEach(() => () => desk.leave());

const day = (n: number): string => `2026-10-${String(n).padStart(2, '0')}T03:00:00.000Z`;

function version(
  stage: VersionRecord['stage'],
  readers: string[],
  more: Partial<VersionRecord> = {},
): VersionRecord {
  const { formerReaders } = more;
  return {
    stage,
    createdAt: day(1),
    promotedAt: day(1),
    readers: readers.map(fingerprint).sort(),
    file: `sha256:${'cd'.repeat(32)}`,
    username: 'app',
    ...(formerReaders ? { formerReaders } : {}),
  };
}

it('lists what a key could ever open, and which of it is still valid', async () => {
  desk = takeDesk();
  await desk.keyturn(['init', '--name', 'acme']);
  rmSync(join(desk.clone, 'manifests'), { recursive: true });
  desk.push('Begin');
  const home = desk.env.HOME ?? '';
  const me = await loadIdentity({ env: {}, home });
  const mine = me.recipients[0] ?? '';
  const [lost, other] = await Promise.all([reader(), reader()]);
  if (!me.signer) throw new Error('no signer');
  let state: Folded = await fold(new Map(), me);
  const step = async (n: number, change: Partial<JournalChange>, more: string[] = []): Promise<void> => {
    const { writes, next } = await append(
      state,
      { put: [], drop: [], ...change },
      {
        signer: me.signer as NonNullable<typeof me.signer>,
        recipients: [mine, ...more],
        at: new Date(day(n)),
        by: 'hand',
        newRepo: () => 'HAND1',
      },
    );
    for (const { path, bytes } of writes)
      if (bytes === null) rmSync(join(desk.clone, path));
      else desk.write(path, Buffer.from(bytes) as unknown as string);
    state = next;
    desk.push(`step ${n}`);
  };
  const both = [mine, lost.recipient];
  const of = (uid: string, versions: SecretRecord['versions'], current: number): SecretRecord =>
    record(uid, { name: `app/${uid.toLowerCase()}`, versions, current });

  await step(1, {
    put: [of('A', { 1: version('current', both) }, 1), of('D', { 1: version('current', both) }, 1)],
  });
  // the key is removed from A, and A rotates; B begins with it; C with somebody else
  const a2 = { 1: version('retired', both), 2: version('current', [mine]) };
  await step(2, {
    put: [
      of('A', a2, 2),
      of('B', { 1: version('current', both) }, 1),
      of('C', { 1: version('current', [mine, other.recipient]) }, 1),
    ],
  });
  // it plans for a while: a snapshot takes the place of all that was before
  await step(3, { put: [] }, [lost.recipient]);
  // B's v1 is re-encrypted without it and stays current, then v2 is in its grace when v3 comes; D is dropped
  const former = { formerReaders: [fingerprint(lost.recipient)] };
  await step(4, { put: [of('B', { 1: version('current', [mine], former) }, 1)], drop: ['D'] });
  await step(5, { put: [of('E', { 7: version('retiring', both), 8: version('current', [mine]) }, 8)] });

  const report = await desk.keyturn(['--json', 'access', '--exposed', lost.recipient]);
  expect(report.code, report.err).toBe(0);
  expect(JSON.parse(report.out)).toEqual([
    { secret: 'app/a', version: 1, since: day(1), stage: 'retired', valid: false },
    { secret: 'app/b', version: 1, since: day(2), stage: 'current', valid: true },
    { secret: 'app/d', version: 1, since: day(1), stage: 'gone', valid: true },
    { secret: 'app/e', version: 7, since: day(5), stage: 'retiring', valid: true },
  ]);
  expect(report.err).toContain('it could read the state, which holds no value, from serial 3 to 3');
  expect(report.err).toContain('keyturn rotate app/b app/d app/e');
  const byPrint = await desk.keyturn(['--json', 'access', '--exposed', fingerprint(lost.recipient)]);
  expect(byPrint.out).toBe(report.out);
  const unknown = await desk.keyturn(['access', '--exposed', (await reader()).recipient]);
  expect(unknown).toMatchObject({ code: 0, out: '' });
  expect(unknown.err).toContain('it could never open a value');
  expect((await desk.keyturn(['access', '--exposed', 'age1nonsense'])).code).toBe(1);
});
