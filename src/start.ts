/** What a session starts from: the manifests here and the state at the remote, read side by side. */
import { preloadAge } from './age/age.ts';
import { type GitRepository, openRepository } from './git/open.ts';
import { identityOf, projectRoot } from './here.ts';
import type { Host } from './host.ts';
import { idsOf } from './ids.ts';
import { loadManifests } from './manifests/load.ts';
import type { Desired } from './manifests/model.ts';
import { loadProject } from './manifests/project.ts';
import { ownerOf } from './owner.ts';
import type { Identity } from './state/identity.ts';
import { Ledger } from './state/ledger.ts';
import type { Claim } from './state/model.ts';

export interface StartOptions {
  identity?: string | undefined;
  /** The caller may let others in: what it writes is sealed to everybody whom the manifests name. */
  approving?: boolean;
}

interface Remote {
  identity: Identity;
  repository: GitRepository;
  ledger: Ledger;
  ulid: () => string;
}

/**
 * Mistakes in manifests are said before anything that is wrong with identity, git or state, nobody is asked for a
 * passphrase before there are none, and none of them waits for a remote.
 */
export async function start(
  host: Host,
  options: StartOptions,
): Promise<Remote & { root: string; manifests: Desired; owner: Claim['by'] }> {
  const root = projectRoot(host.cwd);
  const owner = ownerOf(host);
  const given = new AbortController();
  const loading = Promise.resolve().then(() => loadManifests(root, { env: host.env }));
  const remote = readRemote(host, root, options, { owner, loading, signal: given.signal });
  remote.catch(() => undefined);
  const manifests = await loading.catch(async (error: unknown): Promise<never> => {
    given.abort();
    await remote.catch(() => undefined);
    throw error;
  });
  return { ...(await remote), root, manifests, owner };
}

/** Needs `keyturn.yaml` alone, so that the state is folded, and its text forgotten, before the manifests are there. */
async function readRemote(
  host: Host,
  root: string,
  { identity: file, approving }: StartOptions,
  of: { owner: Claim['by']; loading: Promise<unknown>; signal: AbortSignal },
): Promise<Remote> {
  let steps: readonly string[] = [];
  const reading = loadProject(root);
  const opening = openRepository(root, {
    stateRef: reading.then(({ stateRef }) => stateRef),
    env: host.env,
    clock: host.clock,
    random: host.random,
    signal: of.signal,
    failpoint: async (name) => {
      for (const step of steps) await host.failpoint(`${step}.${name}`);
    },
  });
  opening.catch(() => undefined);
  const project = await reading;
  const identity = await identityOf(host, file, of.loading);
  const repository = await opening;
  // once git is on its way to the remote
  setImmediate(preloadAge);
  const ulid = idsOf(host.clock);
  const ledger = await Ledger.open({
    repository,
    identity,
    recipients: [...new Set([...project.reconcilers, ...project.planners])],
    admits: approving === true ? 'all' : project.trust === 'signed' ? 'known' : 'as recorded',
    clock: host.clock,
    random: host.random,
    ulid,
    runner: of.owner.runner,
    announce: (next) => {
      steps = next;
    },
  });
  return { identity, repository, ledger, ulid };
}
