/** Who asks: a token of ours, or the one that GitHub gives the workflow. */
import { KeyturnError } from '../../errors.ts';
import { Secret } from '../../secret.ts';
import type { Signer } from '../../state/signing.ts';
import type { About, Authenticate } from '../driver.ts';

/** Seconds for which a token is good. */
const lifetime = 120;

/** EdDSA, by the key that signs the state; rotators know it from `keyturn jwks`. */
export const asReconciler =
  (signer: () => Signer, project: string, now: () => Date): Authenticate =>
  async (about: About) => {
    const iat = Math.floor(now().getTime() / 1000);
    return signer().token({
      iss: project,
      sub: about.itemName,
      item_name: about.itemName,
      access_id: about.accessId ?? project,
      aud: about.audience,
      iat,
      exp: iat + lifetime,
      jti: about.requestId,
      htm: 'POST',
      htu: about.url,
      body_sha256: about.bodySha256,
    });
  };

/** The job's own OIDC token: no key to share, but nothing in it about the request either. */
export const asWorkflow =
  (env: Environment): Authenticate =>
  ({ audience }) =>
    workflowToken(env, audience);

type Environment = Readonly<Record<string, string | undefined>>;

/** What GitHub says of this job, for `audience`. Throws KeyturnError: 75 where a rerun may help. */
export async function workflowToken(env: Environment, audience: string): Promise<Secret> {
  const { ACTIONS_ID_TOKEN_REQUEST_URL: at, ACTIONS_ID_TOKEN_REQUEST_TOKEN: bearer } = env;
  if (!at || !bearer)
    throw new KeyturnError('authenticate: github', 'there is no token of a GitHub workflow here', {
      hint: 'give the job permissions: { id-token: write }, or authenticate: keyturn in the target',
    });
  const url = new URL(at);
  url.searchParams.set('audience', audience);
  const failed = (code: string): KeyturnError =>
    new KeyturnError('authenticate: github', `GitHub gave no token (${code})`, { exit: 75, code });
  const answer = await fetch(url, {
    headers: { authorization: `bearer ${bearer}`, accept: 'application/json' },
    redirect: 'error',
    signal: AbortSignal.timeout(10_000),
  }).catch((error: unknown) => {
    throw failed(error instanceof Error ? error.name : 'failed');
  });
  if (!answer.ok) throw failed(`HTTP ${answer.status}`);
  const read = (await answer.json().catch(() => null)) as { value?: unknown } | null;
  if (typeof read?.value !== 'string') throw failed('no value');
  return new Secret(read.value);
}
