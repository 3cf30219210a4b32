import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { KeyturnError } from '../errors.ts';
import type { Host } from '../host.ts';
import { generateBundle, identityPath, loadIdentity } from '../state/identity.ts';
import type { Command } from './context.ts';
import { writeNew } from './files.ts';
import { type StarterFile, starterFiles } from './starter.ts';
import { toolOf } from './starter-workflows.ts';

/**
 * `keyturn init`: an identity for the job, one for you, keyturn.yaml, an example of every manifest, two workflows.
 * A file that is there already is left as it is and said.
 */
export const init: Command<[{ name: string; action?: string | undefined }]> = async (
  { host, console },
  { name, action },
) => {
  const tool = toolOf(action);
  const own = identityPath(host.env, host.home);
  const job = await generateBundle('ci-1');
  const fresh = existsSync(own) ? null : await generateBundle('admin-1');
  const { recipient: admin } = fresh ?? (await existing(host));
  if (fresh) {
    await writeNew(host.cwd, own, `${fresh.bundle.reveal()}${job.trustLine}\n`, 0o600);
    console.words(`  wrote ${own}: your identity; keep a copy of it offline`);
  } else console.words(`  kept  ${own}: your identity; add this line to it:\n  ${job.trustLine}`);

  const trust = fresh ? `${fresh.trustLine}\n` : '';
  const files: StarterFile[] = [
    ...starterFiles({ name, admin, job: job.recipient, tool }),
    { path: jobIdentity, text: `${job.bundle.reveal()}${trust}`, mode: 0o600 },
    { path: '.gitignore', text: `${jobIdentity}\n`, mode: 0o644 },
  ];
  for (const { path, text, mode } of files) {
    const kept = existsSync(resolve(host.cwd, path));
    if (!kept) await writeNew(host.cwd, path, text, mode);
    console.words(kept ? `  kept  ${path}: is there already` : `  wrote ${path}`);
  }
  console.words(
    [
      '',
      'Next:',
      '  1. edit manifests/, then: keyturn validate',
      `  2. gh secret set KEYTURN_IDENTITY < ${jobIdentity} && rm ${jobIdentity}`,
      '  3. git add . && git commit -m "Declare rotated secrets" && git push && keyturn plan',
    ].join('\n'),
  );
  return 0;
};

const jobIdentity = '.keyturn-ci-identity';

async function existing({ env, home }: Host): Promise<{ recipient: string }> {
  const { recipients, source } = await loadIdentity({ env: { ...env, KEYTURN_IDENTITY: '' }, home });
  const [recipient] = recipients;
  if (recipient === undefined)
    throw new KeyturnError(source, 'has no age identity', { hint: 'keyturn keygen --out FILE makes one' });
  return { recipient };
}
