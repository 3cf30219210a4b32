/** Signed calls to IAM and STS. The SDK is loaded with the first of them. */
import type { IAMClient } from '@aws-sdk/client-iam';
import type { STSClient } from '@aws-sdk/client-sts';
import type { Target } from '../driver.ts';
import type { Issued, IssuedJob } from '../issued.ts';
import { accountOf } from './account.ts';
import { NoSession } from './classify.ts';

interface Pair {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}

type Login = Pair | (() => Promise<Pair>);

/** What both clients are made with. Endpoints come from the manifest alone: the binding says where a key may be sent. */
function settings(target: Target, login: Login | undefined, maxAttempts: number, keepAlive = true) {
  const { region, endpoint, profile } = accountOf(target);
  const { ca } = target.tls;
  return {
    region,
    maxAttempts,
    ignoreConfiguredEndpointUrls: true,
    requestHandler: {
      connectionTimeout: target.timeout,
      socketTimeout: target.timeout,
      httpAgent: { keepAlive },
      httpsAgent: { keepAlive, ...(ca === undefined ? {} : { ca }) },
    },
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(profile === undefined ? {} : { profile }),
    ...(login === undefined ? {} : { credentials: login }),
  };
}

const pair = ({ handle, value }: Issued): Pair => ({ accessKeyId: handle, secretAccessKey: value.reveal() });

async function stsWith(target: Target, login: Login | undefined, maxAttempts: number): Promise<STSClient> {
  const { STSClient } = await import('@aws-sdk/client-sts');
  const sts = new STSClient(settings(target, login, maxAttempts));
  sts.middlewareStack.add((next) => (args) => within(target, next(args)), deadline);
  return sts;
}

const deadline = { step: 'initialize', name: 'keyturnDeadline' } as const;
/** The SDK's own time-out ends when the head of an answer is there: a body that stops coming would never end. */
async function within<T>({ timeout }: Target, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(Object.assign(new Error(), { code: 'ETIMEDOUT' })), timeout + grace);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
/** Milliseconds for the SDK to give up by itself first. */
const grace = 250;

/** One call, no repetition, a connection of its own: what a value is proven with. */
export const stsAs = (target: Target, issued: Issued): Promise<STSClient> => stsWith(target, pair(issued), 1);

/** The target's clock by its last answer. */
export interface Heard {
  at: string | null;
}

export interface Clients {
  heard: Heard;
  sts: STSClient;
  iam: IAMClient;
  /**
   * Never repeats a call: for the one that must not happen twice. A connection of its own for each: one that the server
   * gives up just then would leave it unknown whether that one happened.
   */
  once: IAMClient;
  /** Monotonic time of the login. */
  since: number;
  close(): void;
}

/** Milliseconds for which clients are given to one rotation after the other: far less than any session lasts. */
const fresh = 10 * 60_000;

/** Those of the whole run, or some of the job's own: a role is assumed and a token exchanged once for many keys. */
export async function clientsFor(job: IssuedJob): Promise<Clients> {
  const { actor, target, admin, spare } = job;
  if (actor === 'self' || spare === undefined) return newClients(job);
  const shared = () => spare.share(target, admin, () => newClients(job));
  const clients = await shared();
  if (performance.now() - clients.since < fresh) return clients;
  await spare.forget(clients);
  return shared();
}

/** `sound`: everything was answered as it should be. Who comes next gets others where it was not. */
export async function release({ actor, spare }: IssuedJob, clients: Clients, sound: boolean): Promise<void> {
  if (actor === 'self' || spare === undefined) clients.close();
  else if (!sound) await spare.forget(clients);
}

/**
 * As whom the job acts: the user itself, the target's key, or what the environment gives; then in its role. Throws
 * `NoSession` where that could not be had.
 */
async function newClients({ target, actor, admin, login }: IssuedJob): Promise<Clients> {
  const own = actor === 'self' ? login : admin && { handle: admin.username, value: admin.password };
  const base = await signerOf(target, own && pair(own));
  const signer = actor === 'target' ? await assumed(target, base) : base;
  const { IAMClient } = await import('@aws-sdk/client-iam');
  const heard: Heard = { at: null };
  const iam = new IAMClient(settings(target, signer, 3));
  iam.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const { headers = {} } = result.response as { headers?: Record<string, string> };
      // a proxy between may add one of its own behind the first
      const [first] = /^\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT/.exec(headers.date ?? '') ?? [];
      if (first !== undefined) heard.at = new Date(first).toISOString();
      return result;
    },
    { step: 'deserialize', name: 'keyturnHears' },
  );
  const once = new IAMClient(settings(target, signer, 1, false));
  for (const client of [iam, once])
    client.middlewareStack.add((next) => (args) => within(target, next(args)), deadline);
  const sts = await stsWith(target, signer, 3);
  const close = (): void => {
    for (const client of [sts, iam, once]) client.destroy();
  };
  return { heard, sts, iam, once, since: performance.now(), close };
}

/** One login for every client of a job: a token of GitHub is exchanged once, while it is fresh. */
async function signerOf(target: Target, base: Pair | undefined): Promise<Login> {
  if (base) return base;
  const sts = await stsWith(target, undefined, 3);
  const provider = sts.config.credentials;
  await provider().catch((error: unknown) => {
    throw new NoSession(
      error,
      'what the environment signs with gives no session',
      "compare the role's trust policy with the token of this job: provider, audience sts.amazonaws.com, subject",
    );
  });
  return provider;
}

async function assumed(target: Target, base: Login): Promise<Login> {
  const role = accountOf(target).assumeRole;
  if (!role) return base;
  const { AssumeRoleCommand } = await import('@aws-sdk/client-sts');
  const sts = await stsWith(target, base, 3);
  const command = new AssumeRoleCommand({
    RoleArn: role.arn,
    RoleSessionName: role.sessionName,
    ...(role.externalId === undefined ? {} : { ExternalId: role.externalId }),
  });
  try {
    const { Credentials } = await sts.send(command, { abortSignal: AbortSignal.timeout(target.timeout) });
    return {
      accessKeyId: Credentials?.AccessKeyId ?? '',
      secretAccessKey: Credentials?.SecretAccessKey ?? '',
      sessionToken: Credentials?.SessionToken ?? '',
    };
  } catch (error) {
    throw new NoSession(
      error,
      `the role ${role.arn} may not be assumed`,
      `allow sts:AssumeRole on ${role.arn}, and compare its trust policy and external id`,
    );
  } finally {
    sts.destroy();
  }
}
