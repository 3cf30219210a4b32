import { readFileSync } from 'node:fs';

/** The action that was released together with this package. */
export interface Release {
  /** `owner/name` of the repository that holds it. */
  action: string;
  /** The commit of the tag, which has the bundle. */
  commit: string;
}

/** What the release job wrote into the package; null for one that was built elsewhere, which no action belongs to. */
export function readRelease(): Release | null {
  try {
    const read: unknown = JSON.parse(readFileSync(new URL('../release.json', import.meta.url), 'utf8'));
    if (typeof read !== 'object' || read === null || !('action' in read) || !('commit' in read)) return null;
    return { action: String(read.action), commit: String(read.commit) };
  } catch {
    return null;
  }
}
