/** Where a command runs and who runs it: all that a reader needs of a run, without the engine behind it. */
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { KeyturnError } from './errors.ts';
import type { Host } from './host.ts';
import { askPassphrase } from './output/ask.ts';
import { type Identity, loadIdentity } from './state/identity.ts';

/** The folder of the nearest keyturn.yaml, upwards. */
export function projectRoot(cwd: string): string {
  for (let folder = resolve(cwd); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'keyturn.yaml'))) return folder;
    if (folder === dirname(folder))
      throw new KeyturnError('keyturn.yaml', `is neither in ${resolve(cwd)} nor above it`, {
        hint: 'go to the repository that keyturn reconciles, or make one with keyturn init',
      });
  }
}

/**
 * Who runs this: `--identity`, the environment, or the home directory; a passphrase is asked for on a terminal, not
 * before `ready`.
 */
export const identityOf = (
  host: Host,
  file: string | undefined,
  ready?: Promise<unknown>,
): Promise<Identity> =>
  loadIdentity({
    ...(file === undefined ? {} : { file }),
    env: host.env,
    home: host.home,
    ask: async (message) => {
      await ready;
      return askPassphrase(host, message);
    },
  });
