/** A repository's manifests -> what is desired, or everything that is wrong with them. */
import { setFlagsFromString } from 'node:v8';
import { KeyturnError } from '../errors.ts';
import { covers, toProject, toRole, toSecret } from './defaults.ts';
import { readDocuments, type Threads } from './documents.ts';
import { findManifests } from './find.ts';
import { type Spread, secretNames, spread } from './hosts.ts';
import { loginRefs } from './logins.ts';
import type { Desired, Role, RotatedSecret, ValueRef } from './model.ts';
import type { ManifestDocument, ManifestFile } from './parse.ts';
import { readAuthority } from './paths.ts';
import { Problems } from './problems.ts';
import { recipientFiles } from './recipient-files.ts';
import { type Context, checkRules } from './rules.ts';
import { future, isFuture, type Manifest, readManifest } from './schema.ts';
import { toTarget } from './targets.ts';
import type { WrittenDefaults, WrittenManifest } from './written.ts';

export interface LoadOptions {
  /** Only `CI` is read. Default: the process's. */
  env?: NodeJS.ProcessEnv;
  /** Who else parses. Default: as many threads as there are processors for, where it pays. */
  threads?: Threads;
}

/**
 * Loads `keyturn.yaml` and `manifests/` of the repository at `root`. Needs no key and no network.
 * Throws ManyErrors with every mistake, sorted by place (`file:line:col: subject: what`), or KeyturnError where
 * there is no `keyturn.yaml` or everything is written for a newer keyturn.
 */
export async function loadManifests(root: string, options: LoadOptions = {}): Promise<Desired> {
  const problems = new Problems();
  return assemble(findManifests(root, problems), root, options, problems);
}

/** The same for texts from elsewhere, e.g. another commit. Files that manifests name are still read below `root`. */
export async function parseManifests(
  files: { path: string; text: string }[],
  root: string,
  options: LoadOptions = {},
): Promise<Desired> {
  const readable = files.map(({ path, text }) => ({ path, text: () => text }));
  return assemble(readable, root, options, new Problems());
}

async function assemble(
  files: ManifestFile[],
  root: string,
  options: LoadOptions,
  problems: Problems,
): Promise<Desired> {
  // The first files are made to last by every measure of V8, which then would keep the syntax trees of all others too.
  setFlagsFromString('--no-allocation-site-pretenuring');
  const found = problems.empty;
  const { documents, ...read } = await readDocuments(files, problems, options.threads);
  const complete = found && read.complete;
  const [first] = documents;
  if (first !== undefined && problems.empty && documents.every(isFuture)) {
    const { file, line, column } = first.at('/apiVersion');
    throw new KeyturnError(`${file}:${line}:${column}: ${first.subject}`, future.what, { hint: future.hint });
  }
  const manifests: Manifest[] = [];
  for (const document of documents) {
    const manifest = await readManifest(document, problems);
    if (manifest !== undefined) manifests.push(manifest);
  }
  const context = await declare(manifests, problems, {
    root,
    ci: !['', '0', 'false'].includes((options.env ?? process.env).CI ?? ''),
    names: complete
      ? {
          targets: new Set(ofKind(documents, 'Target').map(({ subject }) => subject)),
          secrets: new Set(ofKind(documents, 'RotatedSecret').flatMap(secretNames)),
        }
      : undefined,
  });
  if (complete && !documents.some((document) => kindOf(document) === 'Project')) {
    problems.add(
      { file: 'keyturn.yaml', line: 1, column: 1 },
      'keyturn.yaml',
      'declares no Project',
      'run keyturn init',
    );
  }
  await checkRules(context);
  problems.throwIfAny();
  return desiredOf(context);
}

function desiredOf({ project, targets, roles, secrets }: Context): Desired {
  if (project === undefined) throw new Error('a repository without a project was not reported');
  const models = <Model>(declared: Map<string, { model: Model }>): Map<string, Model> =>
    new Map([...declared].map(([name, { model }]) => [name, model]));
  return {
    project: project.model,
    targets: models(targets),
    roles: roles.map(({ model }) => model),
    secrets: models(new Map([...secrets].filter(([, { part }]) => part !== true))),
  };
}

const kindOf = ({ value }: ManifestDocument): unknown => (value as { kind?: unknown } | null)?.kind;

const ofKind = (documents: ManifestDocument[], kind: string): ManifestDocument[] =>
  documents.filter((document) => kindOf(document) === kind);

/** Fills in defaults, targets and roles before the secrets that need them. */
async function declare(
  manifests: Manifest[],
  problems: Problems,
  outside: Pick<Context, 'root' | 'ci' | 'names'>,
): Promise<Context> {
  const context: Context = {
    ...outside,
    project: undefined,
    targets: new Map(),
    roles: [],
    secrets: new Map(),
    problems,
  };
  const once = unique(manifests, problems);
  for (const { document, written } of once) {
    const source = document.at('');
    if (written.kind === 'Project') context.project = { document, written, model: toProject(written) };
    if (written.kind === 'Role') {
      const files = await recipientFiles(outside.root, document, written, problems);
      context.roles.push({ document, written, model: toRole(written, files, source) });
    }
    if (written.kind === 'Target') {
      const path = written.spec.tls?.ca;
      const authority = path === undefined ? undefined : await readAuthority(outside.root, path);
      if (authority !== undefined && 'what' in authority) {
        problems.add(document.at('/spec/tls/ca'), document.subject, authority.what, authority.hint);
      }
      const pem = authority !== undefined && 'pem' in authority ? authority.pem : undefined;
      context.targets.set(written.metadata.name, {
        document,
        written,
        model: toTarget(written, pem, source),
      });
    }
  }
  const roles: Role[] = context.roles.map(({ model }) => model);
  const common = context.project?.written.spec.defaults ?? {};
  let like: RotatedSecret | undefined;
  for (const { document, written } of once) {
    if (written.kind !== 'RotatedSecret') continue;
    for (const one of spread({ document, written }, problems))
      like = declareSecret(one, common, roles, context, like);
  }
  return context;
}

/** A role that names a whole family means every secret in it. */
function declareSecret(
  { document, written, family, ...part }: Spread,
  common: WrittenDefaults,
  roles: Role[],
  { targets, secrets, problems }: Context,
  like: RotatedSecret | undefined,
): RotatedSecret {
  const { name } = written.metadata;
  const all =
    family === undefined
      ? roles
      : roles.map((role) => (covers(role, family) ? { ...role, secrets: [...role.secrets, name] } : role));
  const target = targets.get(written.spec.target ?? '')?.model;
  if (family !== undefined && target !== undefined && target.type !== 'ssh')
    problems.add(
      document.at('/spec/target'),
      name,
      `${target.name} is no host`,
      'name targets of type: ssh in spec.hosts',
    );
  const itself = ({ ref }: { ref: ValueRef }): boolean => 'secret' in ref && ref.secret === family;
  if (loginRefs(target).some(itself))
    problems.add(
      document.at('/spec/target'),
      name,
      `${target?.name} logs in with the value that all hosts have`,
      'write values: each, or give that target credentials of its own',
    );
  const model = toSecret(written, common, target, all, document.at(''), like);
  const other = secrets.get(name);
  if (other === undefined) secrets.set(name, { document, written, model, ...part });
  else {
    const { file, line } = other.document.at('/metadata/name');
    problems.add(
      document.at('/metadata/name'),
      name,
      'there is a second RotatedSecret of this name',
      `the first is at ${file}:${line}: rename or remove one`,
    );
  }
  return model;
}

/** The first of every kind and name; one project, where reviewers look for it. */
function unique(manifests: Manifest[], problems: Problems): Manifest<WrittenManifest>[] {
  const seen = new Map<string, ManifestDocument>();
  return manifests.filter(({ document, written }) => {
    const project = written.kind === 'Project';
    const key = project ? 'Project' : `${written.kind} ${written.metadata.name}`;
    const other = seen.get(key);
    if (project && document.file !== 'keyturn.yaml') {
      problems.add(
        document.at('/kind'),
        document.subject,
        'a Project stands in keyturn.yaml only',
        'move it there, or remove it',
      );
      return false;
    }
    if (other === undefined) {
      seen.set(key, document);
      return true;
    }
    const { file, line } = other.at('/metadata/name');
    const what = project ? 'there is a second Project' : `there is a second ${written.kind} of this name`;
    problems.add(
      document.at('/metadata/name'),
      document.subject,
      what,
      `the first is at ${file}:${line}: rename or remove one`,
    );
    return false;
  });
}
