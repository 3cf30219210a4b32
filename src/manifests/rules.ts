/**
 * What no schema can say: rules across manifests, against the file system or the time zone database. Each rule
 * reports everything it finds; none depends on another.
 */
import type { Project, Role, RotatedSecret, Target } from './model.ts';
import type { ManifestDocument } from './parse.ts';
import type { Problems } from './problems.ts';
import { blind, members, recipients, twoRecipients } from './rules/access.ts';
import {
  accountShape,
  authentication,
  oneSecretPerAccount,
  overlap,
  targetRotator,
} from './rules/accounts.ts';
import { azureSecrets, azureTargets } from './rules/azure.ts';
import { filePaths } from './rules/files.ts';
import { initialValue } from './rules/initial.ts';
import { awsTargets, keysOfType } from './rules/keys.ts';
import { channelShapes, leadTimes } from './rules/notifications.ts';
import { graceFits, passwordPolicy, timezones, windows } from './rules/policy.ts';
import {
  channels,
  cycles,
  movedFrom,
  secretReferences,
  targetReferences,
  valueFolders,
} from './rules/references.ts';
import { sessions } from './rules/sessions.ts';
import { keyRotator, sshAccounts, sshGrace, sshLogins } from './rules/ssh.ts';
import { drift, offsets, pairs } from './rules/time.ts';
import { customRotators, webTargets } from './rules/web.ts';
import type { WrittenProject, WrittenRole, WrittenSecret, WrittenTarget } from './written.ts';

/** A manifest in both forms, with its positions. */
export interface Declared<Written, Model> {
  document: ManifestDocument;
  written: Written;
  model: Model;
}

/** `part`: another host of a secret with one value for all; the rules look at each host. */
export type DeclaredSecret = Declared<WrittenSecret, RotatedSecret> & { part?: true };
export type DeclaredTarget = Declared<WrittenTarget, Target>;

export interface Context {
  root: string;
  /** An absolute `file:` works on one machine only, so not in CI. */
  ci: boolean;
  /** Undefined where `keyturn.yaml` itself is wrong: rules that depend on its defaults don't run then. */
  project: Declared<WrittenProject, Project> | undefined;
  targets: Map<string, DeclaredTarget>;
  roles: Declared<WrittenRole, Role>[];
  secrets: Map<string, DeclaredSecret>;
  /** Names of everything declared, even of manifests that are wrong; undefined where a file could not be read. */
  names: { targets: Set<string>; secrets: Set<string> } | undefined;
  problems: Problems;
}

type Rule = (context: Context) => void | Promise<void>;

const always: Rule[] = [
  targetReferences,
  secretReferences,
  movedFrom,
  valueFolders,
  cycles,
  oneSecretPerAccount,
  accountShape,
  targetRotator,
  authentication,
  keysOfType,
  awsTargets,
  webTargets,
  azureTargets,
  azureSecrets,
  recipients,
  members,
  blind,
  filePaths,
  keyRotator,
  initialValue,
  sshAccounts,
  sshLogins,
  sessions,
];

const withProject: Rule[] = [
  channels,
  twoRecipients,
  overlap,
  sshGrace,
  graceFits,
  timezones,
  windows,
  passwordPolicy,
  channelShapes,
  leadTimes,
  offsets,
  pairs,
  drift,
  customRotators,
];

export async function checkRules(context: Context): Promise<void> {
  for (const rule of always) await rule(context);
  if (context.project !== undefined) for (const rule of withProject) await rule(context);
}
