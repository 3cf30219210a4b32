/** Is what the target accepts and what the remote holds still what the protocol promises (§0)? */
import type { Result } from '../../src/engine/model.ts';
import type { SecretRecord } from '../../src/state/model.ts';
import { currentPath, hostsPath, parseCurrent, parseHosts } from '../../src/state/pointers.ts';
import { openSegment, step } from '../../src/state/segment.ts';
import { versionOf } from '../../src/state/transitions.ts';
import { openVersion, valuePath } from '../../src/state/version-file.ts';
import { reconciler } from './desired.ts';
import { brokenIssued } from './issuer-oracle.ts';
import { brokenSlots } from './slots-oracle.ts';
import { initial, type Universe } from './world.ts';

type Opened = Awaited<ReturnType<typeof openSegment>>['segment'];
const segments = new WeakMap<Uint8Array, Promise<Opened>>();
const values = new WeakMap<Uint8Array, Promise<string>>();

/** Forks of a remote share the bytes of what was there before: decrypting is most of what a schedule costs. */
const once = <T>(
  cache: WeakMap<Uint8Array, Promise<T>>,
  bytes: Uint8Array,
  make: () => Promise<T>,
): Promise<T> => {
  const made = cache.get(bytes) ?? make();
  cache.set(bytes, made);
  return made;
};

/** The journal of the remote's tree; every file is decrypted once. */
function journal({ remote }: Universe): Promise<Opened[]> {
  const tree = remote.tree(remote.tip);
  const paths = [...tree.keys()].filter((p) => p.startsWith('state/')).sort();
  return Promise.all(
    paths.map((path) => {
      const bytes = remote.blob(tree.get(path) ?? '');
      const serial = Number(path.slice('state/'.length, -'.age'.length));
      return once(segments, bytes, async () => {
        const { segment } = await openSegment(bytes, { path, serial, identity: reconciler.identity });
        return segment;
      });
    }),
  );
}

/** What the remote's tree folds to. */
export async function recorded(world: Universe): Promise<SecretRecord[]> {
  const records = new Map<string, SecretRecord>();
  for (const segment of await journal(world)) step(records, segment, 'the journal');
  return [...records.values()];
}

/** The plaintext of one recorded version, from the file in the remote's tree that the record names. */
function plaintext(world: Universe, record: SecretRecord, v: number): Promise<string> {
  const path = valuePath(record.name, v);
  const id = world.remote.tree(world.remote.tip).get(path);
  if (id === undefined || `sha256:${id}` !== versionOf(record, v).file)
    return Promise.reject(new Error(`${path} is not the file that the record names`));
  const bytes = world.remote.blob(id);
  return once(values, bytes, async () => {
    const [{ repo } = { repo: '' }] = await journal(world);
    const opened = await openVersion(
      bytes,
      { repo, uid: record.uid, name: record.name, v },
      reconciler.identity,
      path,
    );
    return opened.value.reveal();
  });
}

/** Every promise of protocol §0 that does not hold now, each as a phrase; empty when all is well. */
export async function broken(world: Universe): Promise<string[]> {
  const { target, setup } = world;
  const found: string[] = [];
  const records = await recorded(world);
  const known = new Set<string>();
  for (const record of records) {
    if (setup.issues) {
      found.push(
        ...(await brokenIssued(world, record, (v) => plaintext(world, record, v))),
        ...stages(record),
      );
      if (record.current !== null) found.push(...pointer(world, record));
      continue;
    }
    if (setup.slots) {
      found.push(
        ...(await brokenSlots(world, record, (v) => plaintext(world, record, v))),
        ...stages(record),
      );
      if (record.current !== null) found.push(...pointer(world, record));
      continue;
    }
    for (const v of Object.keys(record.versions).map(Number))
      known.add(await plaintext(world, record, v).catch((error: Error) => `lost: ${error.message}`));
    if (record.current === null) continue;
    const current = await plaintext(world, record, record.current).catch(String);
    if (setup.hosts > 1) {
      found.push(...(await brokenHosts(world, record)), ...pointer(world, record), ...stages(record));
      continue;
    }
    const accepted = target.acceptedFor(versionOf(record, record.current).username);
    if (!record.pending && !accepted.includes(current))
      found.push(`I3: nothing of ${record.name} is pending and v${record.current} is not accepted`);
    if (setup.grace > 0 && setup.rules.overlap !== 'none' && !accepted.includes(current))
      found.push(`I5: ${record.name} has grace and v${record.current} is not accepted`);
    found.push(...pointer(world, record), ...stages(record));
  }
  if (setup.issues || setup.slots) return found;
  const foreign = setup.adopted ? [] : [...world.desired.secrets.keys()].map(initial);
  for (const value of target.accepted())
    if (!known.has(value) && !foreign.includes(value))
      found.push(`I1: the target accepts ${value}, which is recorded nowhere`);
  for (const lost of known) if (lost.startsWith('lost: ')) found.push(lost);
  return found;
}

/** What the record says of each host holds there, and readers are told the same. */
async function brokenHosts(world: Universe, record: SecretRecord): Promise<string[]> {
  const { target, setup, remote } = world;
  const { username } = versionOf(record, record.current ?? 1);
  const found: string[] = [];
  for (const [host, { v }] of Object.entries(record.hosts ?? {})) {
    if (v === null) continue;
    const accepted = target.acceptedFor(target.nameOf(username, host));
    const has = accepted.includes(await plaintext(world, record, v).catch(String));
    const pending = record.pending && (await plaintext(world, record, record.pending.v).catch(String));
    const mayBeNewer = pending !== null && accepted.includes(pending);
    if (!has && !mayBeNewer) found.push(`I3: ${host} is said to have v${v} of ${record.name}, and does not`);
    if (record.pending?.v === v && !has)
      found.push(`I3: ${host} is said to have taken v${v} of ${record.name}, and has not`);
    const current = await plaintext(world, record, record.current ?? 1).catch(String);
    if (setup.grace > 0 && setup.rules.overlap !== 'none' && !accepted.includes(current))
      found.push(`I5: ${record.name} has grace and ${host} does not accept v${record.current}`);
  }
  const path = hostsPath(record.name);
  const list = remote.tree(remote.tip).get(path);
  const said = list === undefined ? new Map() : parseHosts(remote.blob(list), path);
  for (const [host, { v, sent }] of Object.entries(record.hosts ?? {})) {
    const next = record.pending?.v ?? null;
    const wanted = next !== null && sent === 'acknowledged' ? next : v;
    const or = next !== null && sent === 'unknown' ? next : null;
    const told = said.get(host) ?? { v: null, or: null };
    if (told.v !== wanted || (wanted !== null && told.or !== or))
      found.push(`${path} does not say what ${host} has`);
    if (record.pending && sent === 'no') {
      const accepted = target.acceptedFor(target.nameOf(username, host));
      const value = await plaintext(world, record, record.pending.v).catch(String);
      if (accepted.includes(value))
        found.push(`${host} has v${next}, and is said never to have been sent it`);
    }
  }
  return found;
}

function pointer({ remote }: Universe, record: SecretRecord): string[] {
  const path = currentPath(record.name);
  const named = parseCurrent(remote.blob(remote.tree(remote.tip).get(path) ?? ''), path);
  return named === record.current ? [] : [`${path} does not name v${record.current}`];
}

function stages(record: SecretRecord): string[] {
  const of = (stage: string): number[] =>
    Object.entries(record.versions)
      .filter(([, version]) => version.stage === stage)
      .map(([v]) => Number(v));
  const found: string[] = [];
  if (of('current').join() !== String(record.current)) found.push(`stage current: v${of('current')}`);
  if (of('pending').join() !== (record.pending ? String(record.pending.v) : ''))
    found.push(`stage pending: v${of('pending')}`);
  return found;
}

/** A run that ended in a bug of ours rather than in an answer. */
export const internal = (results: readonly Result[]): string[] =>
  results.filter((result) => result.detail.startsWith('internal error')).map((result) => result.detail);
