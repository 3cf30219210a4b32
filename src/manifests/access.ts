/** `spec.access` of a rotated secret: who may have a session with it, without seeing it, and what becomes of it then. */
import { parseDuration } from './durations.ts';

export const sessionProtocols = ['ssh', 'mysql', 'postgresql', 'web'] as const;
export type SessionProtocol = (typeof sessionProtocols)[number];

export interface Access {
  protocol: SessionProtocol;
  /** Further hosts that a session may go to; the target's own is always among them. */
  hosts: string[];
  /** Milliseconds of quiet after the last session before the credential is rotated; null: sessions rotate nothing. */
  rotateAfter: number | null;
  /** One session at a time, and no rotation during one. */
  exclusive: boolean;
  /** SSH: a short-lived certificate in place of the value. */
  certificate?: { ca: string; ttl: number; principals: string[] };
  web?: WebAccess;
}

export interface WebAccess {
  url: string;
  auth: 'basic' | 'header';
  /** With `auth: header`: the header that carries the value, and what stands before it. */
  header: string;
  prefix: string;
}

export interface WrittenAccess {
  enable?: boolean;
  protocol?: SessionProtocol;
  hosts?: string[];
  rotateAfterDisconnect?: boolean | string;
  exclusive?: boolean;
  certificate?: { ca: string; ttl?: string; principals?: string[] };
  web?: { url: string; auth?: 'basic' | 'header'; header?: string; prefix?: string };
}

/** Undefined where nobody gets a session. `targetType`: of the target that the secret names. */
export function toAccess(
  written: WrittenAccess | undefined,
  of: { targetType: string | undefined; usernames: readonly string[] },
): Access | undefined {
  if (written === undefined || written.enable === false) return undefined;
  const { certificate, web, hosts = [], exclusive = false } = written;
  const own = sessionProtocols.find((protocol) => protocol === of.targetType);
  return {
    protocol: written.protocol ?? (web === undefined ? own : undefined) ?? 'web',
    hosts,
    rotateAfter: quiet(written.rotateAfterDisconnect ?? false),
    exclusive,
    ...(certificate === undefined
      ? {}
      : {
          certificate: {
            ca: certificate.ca,
            ttl: parseDuration(certificate.ttl ?? '5m') ?? 0,
            principals: certificate.principals ?? [...of.usernames],
          },
        }),
    ...(web === undefined
      ? {}
      : {
          web: {
            url: URL.canParse(web.url) ? new URL(web.url).href : web.url,
            auth: web.auth ?? 'basic',
            header: web.header ?? 'Authorization',
            prefix: web.prefix ?? (web.header === undefined ? 'Bearer ' : ''),
          },
        }),
  };
}

const quiet = (written: boolean | string): number | null => {
  if (written === false) return null;
  return written === true ? 0 : (parseDuration(written) ?? 0);
};

/** Every place beyond its target's own where a session takes the credential: part of what it is bound to (threat A1). */
export function sessionPlaces(access: Access | undefined): string | undefined {
  if (access === undefined || access.certificate !== undefined) return undefined;
  const places = access.web === undefined ? [...access.hosts].sort() : [access.web.url];
  return places.length === 0 ? undefined : places.join(' ');
}
