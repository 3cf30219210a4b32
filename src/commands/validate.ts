import { projectRoot } from '../here.ts';
import { loadManifests } from '../manifests/load.ts';
import type { Command } from './context.ts';

/** `keyturn validate`: every manifest error at once; no key, no network. */
export const validate: Command<[]> = async ({ host, console }) => {
  const { targets, roles, secrets } = await loadManifests(projectRoot(host.cwd), { env: host.env });
  const count = (n: number, word: string): string => `${n} ${word}${n === 1 ? '' : 's'}`;
  console.words(
    `keyturn: valid: ${count(targets.size, 'target')}, ${count(roles.length, 'role')}, ${count(secrets.size, 'secret')}`,
  );
  return 0;
};
