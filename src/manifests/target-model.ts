/** What a target is, and what only one type of it has. */
import type { Source, ValueRef } from './model.ts';

export type TargetType = 'mysql' | 'postgresql' | 'ssh' | 'aws' | 'azure' | 'azure-storage' | 'web';

/** What only AWS has. */
export interface AwsTarget {
  /** Twelve digits: whoever signs must belong to it, or have assumed a role in it. */
  accountId: string;
  region: string;
  partition: string;
  /** Instead of AWS's own endpoints, for IAM and STS. */
  endpoint: string | undefined;
  /** Profile of the shared configuration that the default chain reads. */
  profile: string | undefined;
  assumeRole: { arn: string; externalId: string | undefined; sessionName: string } | undefined;
}

/** What Azure's two types have, and no other. */
export interface AzureTarget {
  tenantId: string;
  /** Of the application that logs in, or of a user-assigned managed identity; none where the environment says it. */
  clientId: string | undefined;
  /** What the login is made with; of `secret` and `certificate` the target's credentials hold it. */
  login: { how: 'secret' | 'certificate' | 'github' | 'token-file' | 'managed-identity' | 'environment' };
  cloud: 'public' | 'usgov' | 'china';
  /** https, without a slash at the end. */
  endpoints: { login: string; graph: string; management: string };
  /** Public client that users log in through, where a secret says `verify: ropc`. */
  publicClientId: string | undefined;
  /** Of `azure-storage`, and there always. */
  storage: { subscriptionId: string; resourceGroup: string | undefined; name: string } | undefined;
}

/** Of a custom rotator behind https. */
export interface WebTarget {
  /** Behind the host and the port. */
  path: string;
  /** Header that carries the token. */
  header: string;
  /** What the token is for; the rotator compares it. */
  audience: string;
  /** Who asks, in the words of older rotators; undefined: the project's name. */
  accessId: string | undefined;
  /** A token signed by the reconciler, or the one that GitHub gives the workflow. */
  authenticate: 'keyturn' | 'github';
  /** Addresses and networks that are otherwise refused: this machine, its link, clouds' metadata. */
  allowAddresses: string[];
  /** What we show of ourselves (mTLS). */
  client: { certificate: ValueRef; key: ValueRef } | undefined;
}

export interface Tls {
  /** `verify` checks chain and host name; `disable` is plain text, said out loud in every plan. */
  mode: 'verify' | 'disable';
  /** PEM of the CA to trust instead of the system's, read from the repository when manifests are loaded. */
  ca: string | undefined;
  /** Path of that PEM as written in the manifest. */
  caFile: string | undefined;
  serverName: string | undefined;
}

export interface Target {
  name: string;
  type: TargetType;
  host: string;
  port: number;
  /** Where to verify logins, when it is not the writer (replicas, proxies). */
  verifyHost: string | undefined;
  /** PostgreSQL: database to connect to. Default `postgres`. */
  database: string | undefined;
  tls: Tls;
  credentials: (Login & { usernameHost: string | undefined }) | undefined;
  /** Of `type: ssh`, and of no other. */
  ssh?: SshOptions;
  /** Of `type: aws`, and of no other. */
  aws?: AwsTarget | undefined;
  /** Of `type: azure` and `azure-storage`, and of no other. */
  azure?: AzureTarget;
  /** Of `type: web`, and of no other. */
  web?: WebTarget;
  /** How many secrets of this target rotate side by side. */
  concurrency: number;
  /** Milliseconds for one connection or statement. */
  timeout: number;
  source: Source;
}

/** One of `password` and `privateKey`, or both: then the key logs in and the password is what sudo asks for. */
export interface Login {
  username: string;
  password: ValueRef | undefined;
  privateKey?: ValueRef;
  passphrase?: ValueRef;
  /** The access key's id, where the password is not a rotated secret that knows its own. */
  handle?: string;
}

export interface SshOptions {
  /** `SHA256:…` fingerprints; a host that shows another key is never spoken to. */
  hostKeys: string[];
  /** How the login of the target becomes root. `none`: it is root, or there is no need. */
  sudo: 'none' | 'passwordless' | 'password';
  os: 'linux' | 'windows';
  /** Milliseconds between the beginnings of two logins to this host. */
  spacing: number;
  jump: (Login & { host: string; port: number; hostKeys: string[] }) | undefined;
}
