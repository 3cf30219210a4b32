import { plainRecipient } from '../age/age.ts';
import { fingerprint } from '../age/fingerprint.ts';
import { audienceOf, declaredFor, gateOf } from '../engine/audience.ts';
import { recordOf } from '../engine/plan.ts';
import { KeyturnError } from '../errors.ts';
import { projectRoot } from '../here.ts';
import { loadManifests } from '../manifests/load.ts';
import type { Desired, RotatedSecret } from '../manifests/model.ts';
import { renderJson } from '../output/json.ts';
import { renderTable } from '../output/tables.ts';
import type { SecretRecord, State } from '../state/model.ts';
import { knownBy, nameOf } from '../state/readers.ts';
import { versionOf } from '../state/transitions.ts';
import { type Command, type Context, sessionIfReadable } from './context.ts';
import { exposed } from './exposed.ts';
import { minute } from './list.ts';

interface Entry {
  secret: string;
  reader: string;
  /** The recipient, or its fingerprint where no manifest names it any more. */
  recipient: string;
  /** `yes`; else what has to happen first, or why it still knows the value. */
  reads: string;
  expires: string | null;
}

/** `keyturn access`: who can read what. From the manifests, and where the state can be read, as sealed right now. */
export const access: Command<
  [string | undefined, { reader?: string | undefined; exposed?: string | undefined }]
> = async (context, name, options) => {
  if (options.exposed !== undefined) return exposed(context, options.exposed);
  const session = await sessionIfReadable(context);
  const desired =
    session?.desired ?? (await loadManifests(projectRoot(context.host.cwd), { env: context.host.env }));
  if (name !== undefined && !desired.secrets.has(name))
    throw new KeyturnError(name, 'no such secret', { hint: 'keyturn list shows the names' });
  if (!session)
    context.console.words(
      'keyturn: what the manifests say; whether the next apply has still to seal it, only reconcilers and planners can see',
    );
  const reader = options.reader === undefined ? undefined : plainRecipient(options.reader);
  const entries = [...desired.secrets.values()]
    .filter((secret) => name === undefined || secret.name === name)
    .flatMap((secret) => entriesOf(secret, desired, session?.ledger.state ?? null, context.host.clock.now()))
    .filter((entry) => reader === undefined || entry.reader === reader || entry.recipient === reader);
  print(context, entries);
  return 0;
};

function entriesOf(secret: RotatedSecret, desired: Desired, state: State | null, now: Date): Entry[] {
  const { project } = desired;
  const record = state ? recordOf(secret, state.records) : undefined;
  const gate = state ? gateOf(project, state) : null;
  const { waiting } = audienceOf(secret, record, project.reconcilers, now, gate);
  const expiry = new Map(secret.readers.map((reader) => [reader.recipient, reader.expires]));
  const declared = declaredFor(secret, project.reconcilers, now);
  const entries = declared.map(({ name, recipient }): Entry => {
    const isWaiting = waiting.some((reader) => reader.recipient === recipient);
    return {
      secret: secret.name,
      reader: name,
      recipient,
      reads: state ? (isWaiting ? 'after keyturn approve' : sealedTo(record, recipient)) : 'yes',
      expires: expiry.get(recipient) ?? null,
    };
  });
  const named = new Set(declared.map(({ recipient }) => fingerprint(recipient)));
  return [...entries, ...leftovers(secret, record, named)].sort((a, b) => (a.reader < b.reader ? -1 : 1));
}

function sealedTo(record: SecretRecord | undefined, recipient: string): string {
  if (!record || record.current === null) return 'after the first rotation';
  const { readers } = versionOf(record, record.current);
  return readers.includes(fingerprint(recipient)) ? 'yes' : 'after the next apply';
}

/** Those who lost the right and know the current value all the same. */
function leftovers(
  { name }: RotatedSecret,
  record: SecretRecord | undefined,
  declared: ReadonlySet<string>,
): Entry[] {
  if (!record || record.current === null) return [];
  const reads = `knows v${record.current} until it is rotated`;
  return knownBy(versionOf(record, record.current))
    .filter((fp) => !declared.has(fp))
    .map((fp) => ({ secret: name, reader: nameOf(record, fp), recipient: fp, reads, expires: null }));
}

function print({ console, json }: Context, entries: readonly Entry[]): void {
  if (json) {
    console.data(renderJson(entries));
    return;
  }
  const short = (recipient: string): string =>
    recipient.length > 40 ? `${recipient.slice(0, 20)}…${recipient.slice(-8)}` : recipient;
  console.data(
    renderTable(
      ['secret', 'reader', 'recipient', 'reads', 'expires'],
      entries.map((e) => [e.secret, e.reader, short(e.recipient), e.reads, minute(e.expires)]),
      { color: console.color.data },
    ),
  );
}
