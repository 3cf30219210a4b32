import { randomBytes } from 'node:crypto';
import { fingerprint } from '../src/age/fingerprint.ts';
import { systemClock } from '../src/clock.ts';
import type { Write } from '../src/git/contract.ts';
import { openRepository } from '../src/git/open.ts';
import { loadManifests } from '../src/manifests/load.ts';
import { type RotatedSecret, reconcilerName } from '../src/manifests/model.ts';
import { parseIdentity } from '../src/state/identity.ts';
import { append, fold } from '../src/state/journal.ts';
import type { SecretRecord } from '../src/state/model.ts';
import { currentPath, formatCurrent } from '../src/state/pointers.ts';
import { newRecord } from '../src/state/transitions.ts';
import { sealVersion, valuePath } from '../src/state/version-file.ts';
import { driverOf } from '../src/targets/registry.ts';
import type { Project } from './project.ts';

const repo = '01M7XF74DBP7714ZB9PVR24E5P';

/**
 * Pushes the state in which every secret of the project has just been rotated for the first time: what a plan that
 * finds nothing to do reads. Without `sealed` the values are there for git's sake alone: no plan opens one.
 */
export async function recordAll(project: Project, { sealed }: { sealed: boolean }): Promise<void> {
  const desired = await loadManifests(project.folder, { env: {} });
  const identity = await parseIdentity(project.bundle.reveal(), 'bench');
  if (identity.signer === null) throw new Error('the bundle lacks a signing key');
  const { reconcilers } = desired.project;
  const readers = reconcilers.map(fingerprint).sort();
  const at = new Date();
  const bind = await driverOf('postgresql');
  const records = [...desired.secrets.values()].map((secret, index) => {
    const target = desired.targets.get(secret.target);
    if (target === undefined) throw new Error(`${secret.name} has no target`);
    return rotated(secret, {
      uid: `01M7XF74DBP7714ZB9${String(index).padStart(8, '0')}`,
      binding: bind.binding(target, secret.account),
      readers,
      at: at.toISOString(),
    });
  });
  const { writes } = await append(
    await fold(new Map(), identity),
    { put: records, drop: [] },
    {
      signer: identity.signer,
      recipients: reconcilers,
      at,
      by: 'bench',
      newRepo: () => repo,
    },
  );
  const { signer } = identity;
  const sealedValue = ({ uid, name, binding }: SecretRecord): Promise<Uint8Array> | Uint8Array =>
    sealed
      ? sealVersion(
          {
            ...{ repo, uid, name, v: 1, binding, issuedAt: at.toISOString() },
            fields: { value: 'x'.repeat(32), fields: { username: 'a' } },
          },
          reconcilers,
          signer,
        )
      : Buffer.from(name.padEnd(600, '.'));
  const values: Write[] = [];
  for (const record of records)
    values.push(
      { path: valuePath(record.name, 1), bytes: await sealedValue(record) },
      { path: currentPath(record.name), bytes: formatCurrent(1) },
    );
  const repository = await openRepository(project.folder, {
    env: project.env,
    clock: systemClock,
    random: randomBytes,
    networkTimeout: 600_000,
  });
  const outcome = await repository.publish({
    base: await repository.fetch(),
    writes: [...values, ...writes],
    subject: 'Record',
    body: '',
  });
  if (outcome.r !== 'published') throw new Error(`the state could not be pushed: ${outcome.r}`);
}

function rotated(
  { name, target, specDigest, deleteProtection, account, rotateToken }: RotatedSecret,
  { uid, binding, readers, at }: Pick<SecretRecord, 'uid' | 'binding'> & { readers: string[]; at: string },
): SecretRecord {
  const record = newRecord({
    uid,
    name,
    rotator: 'postgresql/password',
    target,
    binding,
    specDigest,
    protected: deleteProtection,
  });
  return {
    ...record,
    current: 1,
    readerNames: Object.fromEntries(readers.map((reader) => [reader, reconcilerName])),
    sched: { ...record.sched, rotateToken: rotateToken ?? null },
    versions: {
      1: {
        stage: 'current',
        createdAt: at,
        promotedAt: at,
        verified: { at, how: 'login' },
        readers,
        file: `sha256:${uid
          .toLowerCase()
          .replaceAll(/[^0-9a-f]/g, '0')
          .padStart(64, '0')}`,
        username: account.usernames[0],
      },
    },
  };
}
