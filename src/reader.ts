/** A reader's way to a value: a clone and an age identity; neither the state nor, if need be, the network. */
import { KeyturnError } from './errors.ts';
import { openRepository } from './git/open.ts';
import type { Host } from './host.ts';
import { loadProject } from './manifests/project.ts';
import { projectRoot } from './run.ts';
import type { Secret } from './secret.ts';
import { loadIdentity } from './state/identity.ts';
import { currentPath, openVersion, parseCurrent, valuePath } from './state/version-file.ts';

export interface Published {
  value: Secret;
  /** Everything but the password, e.g. `username`. */
  fields: Record<string, string>;
  version: number;
  /** What the reader should know: read from the clone only, signature not checked. */
  notes: string[];
}

/** The newest promoted version at the remote, or, where that cannot be reached, in this clone, which is said in `notes`. */
export async function readPublished(
  host: Host,
  name: string,
  options: { identity?: string | undefined; version?: number | undefined; field?: string | undefined },
): Promise<Published> {
  const root = projectRoot(host.cwd);
  const { stateRef } = await loadProject(root);
  const identity = await loadIdentity({
    ...(options.identity === undefined ? {} : { file: options.identity }),
    env: host.env,
    home: host.home,
  });
  const repository = await openRepository(root, {
    ...(stateRef === undefined ? {} : { stateRef }),
    env: host.env,
    clock: host.clock,
    random: host.random,
  });
  const notes: string[] = [];
  const folder = `values/${name}`;
  const files = await remoteFiles(repository, folder).catch(async (error: unknown) => {
    if (!(error instanceof KeyturnError)) throw error;
    notes.push(`${error.message}; this is what the clone holds and may be out of date`);
    return repository.readAt(stateRef ?? 'HEAD', [folder]);
  });
  const pointer = files.get(currentPath(name));
  if (!pointer && options.version === undefined)
    throw new KeyturnError(name, `has no version in ${repository.place}`, {
      hint: 'keyturn list shows what there is; keyturn apply makes the first version',
    });
  const version = options.version ?? parseCurrent(pointer ?? new Uint8Array(), currentPath(name));
  const path = valuePath(name, version);
  const bytes = files.get(path);
  if (!bytes)
    throw new KeyturnError(name, `has no version ${version} in ${repository.place}`, {
      hint: `keyturn history ${name} shows which there are`,
    });
  const known = identity.trust.size > 0;
  const opened = await openVersion(bytes, { name, v: version }, identity, path, { requireSignature: known });
  if (!known)
    notes.push(
      `nobody vouches for ${path}: add a KEYTURN-TRUST-1 line to ${identity.source} to check who wrote it`,
    );
  const { field } = options;
  if (field !== undefined && field !== 'password' && opened.fields[field] === undefined)
    throw new KeyturnError(name, `has no field ${field}`, {
      hint: `it has password, ${Object.keys(opened.fields).sort().join(', ')}`,
    });
  return { value: opened.value, fields: opened.fields, version, notes };
}

async function remoteFiles(
  repository: Awaited<ReturnType<typeof openRepository>>,
  folder: string,
): Promise<Map<string, Uint8Array>> {
  const tip = await repository.fetch();
  const listed = await repository.list(tip, [folder]);
  const blobs = await repository.read([...listed.values()]);
  return new Map([...listed].map(([path, blob]) => [path, blobs.get(blob) ?? new Uint8Array()]));
}
