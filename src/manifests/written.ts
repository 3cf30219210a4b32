/** Manifests as people write them, after the schema has accepted them: nothing filled in, durations are words. */
import type { WrittenAccess } from './access.ts';
import type {
  AzureTarget,
  Drift,
  KeyType,
  Operation,
  Rotator,
  SshOptions,
  TargetType,
  Tls,
  ValueRef,
} from './model.ts';

export interface WrittenWindow {
  days?: string[];
  from: string;
  to: string;
  timezone?: string;
}

export interface WrittenSchedule {
  auto?: boolean;
  paused?: boolean;
  every?: string;
  hour?: number;
  timezone?: string;
  jitter?: string;
  offset?: string;
  pair?: string;
  apart?: string;
  windows?: WrittenWindow[];
  overdueAfter?: string;
}

export interface WrittenPolicy {
  length?: number;
  lowercase?: boolean;
  uppercase?: boolean;
  numbers?: boolean;
  symbols?: boolean;
  exclude?: string;
}

/** What `keyturn.yaml` may set for every secret. */
export interface WrittenDefaults {
  schedule?: 'manual' | WrittenSchedule;
  grace?: string;
  passwordPolicy?: WrittenPolicy;
  keep?: number;
  deleteProtection?: boolean;
  notify?: { before?: string[]; on?: string[]; channels?: string[] };
  verify?: 'ropc' | { every?: string; by?: 'ropc' };
  drift?: Drift;
}

export interface WrittenChannel {
  type: 'webhook' | 'slack' | 'teams' | 'email' | 'github-issue' | 'annotation';
  url?: ValueRef;
  signingKey?: ValueRef;
  from?: string;
  to?: string[];
  token?: ValueRef;
  repository?: string;
}

interface Written<Kind extends string, Spec> {
  apiVersion: 'keyturn/v1';
  kind: Kind;
  metadata: { name: string; description?: string; tags?: string[] };
  spec: Spec;
}

export type WrittenProject = Written<
  'Project',
  {
    reconcilers: string[];
    planners?: string[];
    state?: { ref?: string };
    trust?: 'branch' | 'signed';
    heartbeat?: { url: ValueRef };
    limits?: { maxRotations?: number; maxShare?: number };
    defaults?: WrittenDefaults;
    channels?: Record<string, WrittenChannel>;
  }
>;

export type WrittenTarget = Written<
  'Target',
  {
    type: TargetType;
    /** Absent of type `aws`, which has what follows `timeout` instead. */
    host?: string;
    port?: number;
    verifyHost?: string;
    database?: string;
    tls?: { mode?: Tls['mode']; ca?: string; serverName?: string; certificate?: ValueRef; key?: ValueRef };
    credentials?: WrittenLogin & { host?: string };
    hostKeys?: string[];
    sudo?: SshOptions['sudo'];
    os?: SshOptions['os'];
    spacing?: string;
    jump?: WrittenLogin & { host: string; port?: number; hostKeys: string[] };
    concurrency?: number;
    timeout?: string;
    accountId?: string;
    region?: string;
    partition?: string;
    endpoint?: string;
    profile?: string;
    assumeRole?: { arn: string; externalId?: string; sessionName?: string };
    url?: string;
    header?: string;
    audience?: string;
    accessId?: string;
    authenticate?: 'keyturn' | 'github';
    allowAddresses?: string[];
    /** Of types `azure` and `azure-storage`, from here on. */
    tenantId?: string;
    cloud?: AzureTarget['cloud'];
    endpoints?: Partial<AzureTarget['endpoints']>;
    publicClientId?: string;
    subscriptionId?: string;
    resourceGroup?: string;
    account?: string;
  }
>;

export interface WrittenLogin {
  username?: string;
  password?: ValueRef;
  accessKeyId?: string;
  secretAccessKey?: ValueRef;
  privateKey?: ValueRef;
  passphrase?: ValueRef;
  clientId?: string;
  clientSecret?: ValueRef;
  certificate?: ValueRef;
  federated?: 'github' | 'file';
  managedIdentity?: true;
}

export type WrittenRole = Written<'Role', { members: WrittenMember[]; secrets: string[]; expires?: string }>;

export interface WrittenMember {
  name: string;
  /** Exactly one of the two. */
  recipient?: string;
  recipientsFile?: string;
  expires?: string;
}

export type WrittenSecret = Written<
  'RotatedSecret',
  WrittenDefaults & {
    /** The schema asks for this or `hosts`. */
    target?: string;
    /** Targets with the same account, in place of `target`. */
    hosts?: string[];
    /** Of `hosts`. */
    values?: 'each' | 'one';
    rotator?: Rotator;
    authenticateAs?: 'user' | 'target';
    account?: {
      username?: string;
      usernames?: [string, string];
      host?: string;
      appId?: string;
      keyName?: string;
    };
    initial?: {
      password?: ValueRef;
      privateKey?: ValueRef;
      accessKeyId?: string;
      secretAccessKey?: ValueRef;
      keyId?: string;
      clientSecret?: ValueRef;
      username?: string;
    };
    keyType?: KeyType;
    blind?: boolean;
    graceful?: boolean;
    exclusive?: boolean;
    deleteAfter?: string;
    stillInUseWindow?: string;
    stillInUse?: 'warn' | 'block';
    access?: WrittenAccess;
    payload?: string | Record<string, unknown>;
    generate?: 'ours' | 'rotator';
    operations?: ('rotate' | Operation)[];
    replays?: boolean;
    acceptLossWindow?: boolean;
    rotateToken?: string;
    movedFrom?: string;
  }
>;

export type WrittenManifest = WrittenProject | WrittenTarget | WrittenRole | WrittenSecret;
