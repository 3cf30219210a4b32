/** The job's OIDC token for AWS, where `permissions: id-token: write` and AWS_ROLE_ARN say that a role lets it in. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Host } from '../host.ts';
import { workflowToken } from '../targets/web/authenticate.ts';

/**
 * Does `work` with AWS_WEB_IDENTITY_TOKEN_FILE set, from which the SDK takes its session: a file is the only way it
 * knows. It is this user's alone, good for minutes, and gone afterwards. A file that is named already stays as it is.
 */
export async function withAwsToken<T>({ env }: Host, work: () => Promise<T>): Promise<T> {
  const { AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE, ACTIONS_ID_TOKEN_REQUEST_TOKEN, RUNNER_TEMP } = env;
  if (!AWS_ROLE_ARN || AWS_WEB_IDENTITY_TOKEN_FILE || !ACTIONS_ID_TOKEN_REQUEST_TOKEN) return work();
  const token = await workflowToken(env, 'sts.amazonaws.com');
  const folder = await mkdtemp(join(RUNNER_TEMP || tmpdir(), 'keyturn-aws-'));
  try {
    const file = join(folder, 'token');
    await writeFile(file, token.reveal(), { mode: 0o600 });
    // The SDK reads its settings from the process itself.
    process.env.AWS_WEB_IDENTITY_TOKEN_FILE = file;
    return await work();
  } finally {
    delete process.env.AWS_WEB_IDENTITY_TOKEN_FILE;
    await rm(folder, { recursive: true, force: true });
  }
}
