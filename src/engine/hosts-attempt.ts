/** One value on its way to several hosts, from its claim to its outcomes. */
import type { RotatedSecret } from '../manifests/model.ts';
import type { SecretRecord } from '../state/model.ts';
import type { Attempt, Keep } from './attempt.ts';

export interface HostsAttempt {
  machine: 'hosts';
  secret: RotatedSecret;
  /** As claimed by us and pushed. */
  record: SecretRecord;
  version: number;
  retain: boolean;
  /** All that must have the value before it is promoted, by target. */
  wanted: readonly string[];
  /** Those that are not known to have it, each with its own attempt: the record as it sees it. */
  hosts: readonly HostAttempt[];
  /** Those that cannot be tried in this run. */
  unready: ReadonlyMap<string, Keep>;
  /** Of all hosts together. */
  rotator: { close(): Promise<void> };
}

export interface HostAttempt {
  host: string;
  attempt: Attempt;
}
