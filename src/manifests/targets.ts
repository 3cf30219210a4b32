/** A written target -> model, its defaults filled in. */
import { isAzure, toAzure, toAzureLogin } from './azure.ts';
import { durationOf as ms } from './durations.ts';
import type { AwsTarget, Login, Source, SshOptions, Target } from './model.ts';
import { addressOf, toWeb } from './web.ts';
import type { WrittenLogin, WrittenTarget } from './written.ts';

const ports = {
  mysql: 3306,
  postgresql: 5432,
  ssh: 22,
  aws: 443,
  azure: 443,
  'azure-storage': 443,
  web: 443,
} as const;

/** Databases take many logins at once; sshd refuses some beyond ten, and cloud APIs throttle. */
const concurrencies = {
  mysql: 8,
  postgresql: 8,
  ssh: 4,
  aws: 4,
  azure: 4,
  'azure-storage': 4,
  web: 8,
} as const;

/** `ca` is the PEM that `spec.tls.ca` names. */
export function toTarget({ metadata, spec }: WrittenTarget, ca: string | undefined, source: Source): Target {
  const { credentials, tls } = spec;
  const aws = spec.type === 'aws' ? toAws(spec) : undefined;
  const azure = isAzure(spec.type) ? toAzure(spec) : undefined;
  const endpoint = aws ? new URL(aws.endpoint ?? `https://${iamHost(aws)}`) : addressOf(spec.url);
  const login = azure ? toAzureLogin(credentials) : credentials && toLogin(credentials);
  return {
    name: metadata.name,
    type: spec.type,
    host: endpoint?.hostname.replace(/^\[(.*)\]$/, '$1') ?? spec.host ?? '',
    port: endpoint
      ? Number(endpoint.port || (endpoint.protocol === 'http:' ? 80 : 443))
      : (spec.port ?? ports[spec.type]),
    verifyHost: spec.verifyHost,
    database: spec.type === 'postgresql' ? (spec.database ?? 'postgres') : undefined,
    tls: { mode: tls?.mode ?? 'verify', ca, caFile: tls?.ca, serverName: tls?.serverName },
    credentials: login && { ...login, usernameHost: hostPart(spec.type, credentials?.host) },
    ...(spec.type === 'ssh' ? { ssh: toSsh(spec) } : {}),
    ...(aws === undefined ? {} : { aws }),
    ...azure,
    ...(spec.type === 'web' ? { web: toWeb(spec) } : {}),
    concurrency: spec.concurrency ?? concurrencies[spec.type],
    timeout: ms(spec.timeout ?? (spec.type === 'web' ? '60s' : '10s')),
    source,
  };
}

/** Of an access key the id is the handle and the secret part the password. */
const toLogin = (login: WrittenLogin): Login => ({
  username: login.username ?? '',
  password: login.secretAccessKey ?? login.password,
  ...(login.accessKeyId === undefined ? {} : { handle: login.accessKeyId }),
  ...(login.privateKey === undefined ? {} : { privateKey: login.privateKey }),
  ...(login.passphrase === undefined ? {} : { passphrase: login.passphrase }),
});

const toSsh = ({ hostKeys, sudo, os, spacing, jump }: WrittenTarget['spec']): SshOptions => ({
  hostKeys: hostKeys ?? [],
  sudo: sudo ?? 'none',
  os: os ?? 'linux',
  spacing: ms(spacing ?? '3s'),
  jump: jump && { ...toLogin(jump), host: jump.host, port: jump.port ?? ports.ssh, hostKeys: jump.hostKeys },
});

const toAws = ({ assumeRole, ...spec }: WrittenTarget['spec']): AwsTarget => ({
  accountId: spec.accountId ?? '',
  region: spec.region ?? 'us-east-1',
  partition: spec.partition ?? 'aws',
  endpoint: spec.endpoint,
  profile: spec.profile,
  assumeRole: assumeRole && {
    arn: assumeRole.arn,
    externalId: assumeRole.externalId,
    sessionName: assumeRole.sessionName ?? 'keyturn',
  },
});

/** IAM is one endpoint a partition; what stands in a binding does not depend on the region. */
const iamHost = ({ partition }: AwsTarget): string =>
  ({ 'aws-cn': 'iam.cn-north-1.amazonaws.com.cn', 'aws-us-gov': 'iam.us-gov.amazonaws.com' })[partition] ??
  'iam.amazonaws.com';

/** MySQL's host part of an account, `%` by default. */
export const hostPart = (
  type: Target['type'] | undefined,
  written: string | undefined,
): string | undefined => (type === 'mysql' ? (written ?? '%') : written);
