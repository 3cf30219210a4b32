/** The promises of protocol §0 and §4.2 where the target makes the values. */

import { inUse } from '../../src/state/issued-transitions.ts';
import type { SecretRecord } from '../../src/state/model.ts';
import { versionOf } from '../../src/state/transitions.ts';
import type { MemoryIssuer } from './issuer.ts';
import type { Universe } from './world.ts';

function issuerFor({ issuers }: Universe, { binding }: SecretRecord): MemoryIssuer {
  const issuer = issuers.get(binding.account);
  if (issuer === undefined) throw new Error(`no account ${binding.account}`);
  return issuer;
}

/** Every promise that does not hold now, each as a phrase. `plaintext` decrypts from the remote's tree. */
export async function brokenIssued(
  world: Universe,
  record: SecretRecord,
  plaintext: (v: number) => Promise<string>,
): Promise<string[]> {
  const { time } = world;
  const issuer = issuerFor(world, record);
  const found: string[] = [];
  const versions = Object.entries(record.versions);
  const values = new Map<string, string>();
  for (const [v, version] of versions) {
    if (version.file === null) continue;
    const value = await plaintext(Number(v)).catch((error: Error) => `lost: ${error.message}`);
    if (value.startsWith('lost: ')) found.push(value);
    values.set(version.handle ?? '', value);
    const key = issuer.keys.find(({ handle }) => handle === version.handle);
    if (key && key.value !== value) found.push(`I1: v${v} does not hold the value of ${key.handle}`);
  }
  const handles = versions.flatMap(([, version]) => version.handle ?? []);
  if (new Set(handles).size !== handles.length) found.push('I1: two versions are one and the same value');
  if (record.current !== null) {
    const { handle = '' } = versionOf(record, record.current);
    if (!issuer.accepts(handle, values.get(handle)))
      found.push(`I5: v${record.current} is current and ${handle} is not accepted`);
  }
  for (const [v, version] of versions)
    if (
      version.stage === 'retiring' &&
      (version.retireAfter === undefined || Date.parse(version.retireAfter) > time) &&
      !record.pending?.victims.includes(version.handle ?? '') &&
      !issuer.accepts(version.handle ?? '')
    )
      found.push(`I6: v${v} is in its grace and ${version.handle} is not accepted`);
  for (const { handle, foreign, ownIssue } of issuer.touched.splice(0)) {
    if (foreign && !world.setup.issues?.exclusive) found.push(`I6: the foreign ${handle} was touched`);
    const named =
      handles.includes(handle) ||
      world.named.has(handle) ||
      record.pending?.victims.includes(handle) === true;
    if (inUse(record, handle)) found.push(`I6: ${handle} is in use and was touched`);
    if (!named && !ownIssue) found.push(`rule 5: ${handle} was touched and is named nowhere`);
  }
  return found;
}

/** In the end: nothing at the target but what the record explains, and the foreign key where there was one. */
export function leftovers(world: Universe, record: SecretRecord): string[] {
  const { setup } = world;
  return issuerFor(world, record)
    .keys.filter(({ handle, foreign }) => {
      if (foreign) return setup.issues?.exclusive === true;
      const version = Object.values(record.versions).find((one) => one.handle === handle);
      return (
        version === undefined ||
        !(['current', 'retiring'].includes(version.stage) || version.removeAfter !== undefined)
      );
    })
    .map(({ handle }) => `an orphan is left: ${handle}`);
}
