/** One version's value between its record and its file. */
import { fingerprint } from '../age/fingerprint.ts';
import { KeyturnError } from '../errors.ts';
import type { Write } from '../git/contract.ts';
import type { Secret } from '../secret.ts';
import { sealedBinding } from './hosts.ts';
import type { writerOf } from './identity.ts';
import type { SecretRecord } from './model.ts';
import { digest } from './sealed.ts';
import { versionOf } from './transitions.ts';
import { sealVersion, valuePath } from './version-file.ts';

/** Throws KeyturnError (exit 3) for a version that the target was asked for and never made. */
export function refuseUnissued(record: SecretRecord, v: number): void {
  if (versionOf(record, v).file !== null) return;
  throw new KeyturnError(`${record.name} v${v}`, 'has no value: the target never issued one', { exit: 3 });
}

/** Throws KeyturnError (exit 3) where `bytes` are not those that the record names. */
export function refuseForeign(record: SecretRecord, v: number, bytes: Uint8Array, path: string): void {
  if (digest(bytes) === versionOf(record, v).file) return;
  throw new KeyturnError(path, 'is not the file that the state recorded', {
    hint: 'somebody replaced it; restore it from the history of the branch',
    exit: 3,
  });
}

/** The file to write, and what the record says about it. */
export async function sealed(
  record: SecretRecord,
  v: number,
  { value, fields }: { value: Secret; fields: Record<string, string> },
  recipients: readonly string[],
  by: { repo: string; writer: ReturnType<typeof writerOf>; at: string },
): Promise<{ write: Write; sealed: { file: string; readers: string[] } }> {
  const { uid, name } = record;
  const place = { repo: by.repo, uid, name, v, binding: sealedBinding(record), issuedAt: by.at };
  const bytes = await sealVersion(
    { ...place, fields: { value: value.reveal(), fields } },
    [...recipients],
    by.writer,
  );
  const readers = [...new Set(recipients.map(fingerprint))].sort();
  return { write: { path: valuePath(name, v), bytes }, sealed: { file: digest(bytes), readers } };
}
