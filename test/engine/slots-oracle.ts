/** The promises of protocol §0 and §4.4 where the target keeps the values in slots and shows them. */
import type { SecretRecord } from '../../src/state/model.ts';
import { versionOf } from '../../src/state/transitions.ts';
import type { Universe } from './world.ts';

/** Every promise that does not hold now, each as a phrase. `plaintext` decrypts from the remote's tree. */
export async function brokenSlots(
  { slots }: Universe,
  record: SecretRecord,
  plaintext: (v: number) => Promise<string>,
): Promise<string[]> {
  const found: string[] = [];
  const values = new Map<number, string>();
  for (const [v, { file }] of Object.entries(record.versions))
    if (file !== null)
      values.set(Number(v), await plaintext(Number(v)).catch((error: Error) => `lost: ${error.message}`));
  for (const value of values.values()) if (value.startsWith('lost: ')) found.push(value);
  if (new Set(values.values()).size !== values.size)
    found.push('S3: two versions are one and the same value');

  const { pending } = record;
  /** The slot that may be renewed at any time now. */
  const underWay = pending ? versionOf(record, pending.v).username : null;
  for (const [number, { stage, username }] of Object.entries(record.versions)) {
    const v = Number(number);
    if ((stage !== 'current' && stage !== 'retiring') || username === underWay) continue;
    if (values.get(v) !== slots.value(username))
      found.push(`S1: v${v} is ${stage}, ${username} is under no claim and does not hold it`);
  }
  if (record.current !== null && underWay !== null) {
    const { username } = versionOf(record, record.current);
    if (isPair(record) && username === underWay) found.push(`I5: ${username} is in use and is being renewed`);
  }
  return found;
}

/** By what it is bound to. */
const isPair = ({ binding }: SecretRecord): boolean => binding.account.includes('|');
