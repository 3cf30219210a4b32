/** `plan --against REF`: the manifests here against those of another commit. Needs no key, no state and no network. */
import { planAgainst } from './engine/against.ts';
import type { Plan } from './engine/model.ts';
import { KeyturnError, ManyErrors } from './errors.ts';
import { openRepository } from './git/open.ts';
import { projectRoot } from './here.ts';
import type { Host } from './host.ts';
import { loadManifests, parseManifests } from './manifests/load.ts';
import type { Desired } from './manifests/model.ts';
import { bindingsOf } from './run.ts';

/** Throws KeyturnError for a revision that is not in this clone, or whose manifests are not valid. */
export async function reviewAgainst(host: Host, revision: string): Promise<Plan> {
  const root = projectRoot(host.cwd);
  const here = await loadManifests(root, { env: host.env });
  const repository = await openRepository(root, {
    stateRef: 'refs/heads/any',
    env: host.env,
    clock: host.clock,
    random: host.random,
  });
  const files = [...(await repository.readAt(revision, ['keyturn.yaml', 'manifests']))]
    .filter(([path]) => /\.ya?ml$/.test(path))
    .map(([path, bytes]) => ({ path, text: Buffer.from(bytes).toString() }));
  const there = await parseManifests(files, root, { env: host.env }).catch((error: unknown): never => {
    if (error instanceof ManyErrors || error instanceof KeyturnError)
      throw new KeyturnError(revision, `its manifests are not valid (${error.message})`, {
        hint: 'compare with a commit whose manifests are',
        cause: error,
      });
    throw error;
  });
  const side = async (desired: Desired) => ({ desired, bindings: await bindingsOf(desired) });
  return planAgainst(await side(there), await side(here), host.clock.now());
}
