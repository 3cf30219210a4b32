/** Manifests as people write them, after the schema has accepted them: nothing filled in, durations are words. */
import type { Rotator, TargetType, Tls, ValueRef } from './model.ts';

export interface WrittenWindow {
  days?: string[];
  from: string;
  to: string;
  timezone?: string;
}

export interface WrittenSchedule {
  auto?: boolean;
  every?: string;
  hour?: number;
  timezone?: string;
  jitter?: string;
  offset?: string;
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
    limits?: { maxRotations?: number; maxShare?: number };
    defaults?: WrittenDefaults;
    channels?: Record<string, { type: 'webhook'; url: ValueRef }>;
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
    tls?: { mode?: Tls['mode']; ca?: string; serverName?: string };
    credentials?: {
      username?: string;
      host?: string;
      password?: ValueRef;
      accessKeyId?: string;
      secretAccessKey?: ValueRef;
    };
    concurrency?: number;
    timeout?: string;
    accountId?: string;
    region?: string;
    partition?: string;
    endpoint?: string;
    profile?: string;
    assumeRole?: { arn: string; externalId?: string; sessionName?: string };
  }
>;

export type WrittenRole = Written<
  'Role',
  { members: { name: string; recipient: string }[]; secrets: string[] }
>;

export type WrittenSecret = Written<
  'RotatedSecret',
  WrittenDefaults & {
    target: string;
    rotator?: Rotator;
    authenticateAs?: 'user' | 'target';
    account?: { username?: string; usernames?: [string, string]; host?: string };
    initial?: { password?: ValueRef; username?: string; accessKeyId?: string; secretAccessKey?: ValueRef };
    graceful?: boolean;
    exclusive?: boolean;
    deleteAfter?: string;
    stillInUseWindow?: string;
    stillInUse?: 'warn' | 'block';
    rotateToken?: string;
    movedFrom?: string;
    notify?: { before?: string[]; channels?: string[] };
  }
>;

export type WrittenManifest = WrittenProject | WrittenTarget | WrittenRole | WrittenSecret;
