/**
 * Is a request from the reconciler that it says it is from? The algorithm is fixed by what the rotator trusts, never
 * by the token; keys are pinned.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { createLocalJWKSet, createRemoteJWKSet, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose';

export const githubIssuer = 'https://token.actions.githubusercontent.com';

/** Seconds by which two clocks may differ. */
const skew = 60;
/** Seconds for which keyturn's own tokens are good. */
export const lifetime = 120;

/** Tokens of keyturn, signed by a key that `keyturn jwks` prints. */
export interface KeyturnTrust {
  keys: JSONWebKeySet;
}

/** The token of a GitHub Actions workflow: it says nothing about the body, so the body's names are what counts. */
export interface GithubTrust {
  github: {
    /** `owner/name`. */
    repository: string;
    /** e.g. `refs/heads/main`; without one every branch of the repository may rotate. */
    ref?: string;
    environment?: string;
    /** Of a GitHub Enterprise Server. */
    issuer?: string;
    /** Pinned instead of fetched from the issuer. */
    keys?: JSONWebKeySet;
  };
}

export interface TokenRules {
  trust: KeyturnTrust | GithubTrust;
  /** As the target's `audience`, which defaults to its url; one of several is enough. */
  audience: string | readonly string[];
  /** The project's name, or the target's `accessId`. */
  accessId?: string;
  now?: () => Date;
}

/** What the token is checked against. */
export interface Presented {
  token: string;
  itemName?: string;
  requestId?: string;
  method?: string;
  body?: Uint8Array;
}

export type TokenVerdict = { r: 'trusted'; claims: JWTPayload } | { r: 'refused'; why: string };

export async function checkToken(presented: Presented, rules: TokenRules): Promise<TokenVerdict> {
  try {
    return 'keys' in rules.trust
      ? await byKeyturn(presented, rules, rules.trust)
      : await byGithub(presented, rules, rules.trust);
  } catch (error) {
    return refused(
      error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'bad-token',
    );
  }
}

async function byKeyturn(
  { token, itemName, requestId, method, body }: Presented,
  rules: TokenRules,
  { keys }: KeyturnTrust,
): Promise<TokenVerdict> {
  const { payload } = await jwtVerify(token, createLocalJWKSet(keys), {
    algorithms: ['EdDSA'],
    audience: audienceOf(rules),
    clockTolerance: skew,
    maxTokenAge: lifetime,
    requiredClaims: ['iss', 'sub', 'jti', 'exp', 'iat', 'body_sha256'],
    ...(rules.now ? { currentDate: rules.now() } : {}),
  });
  if ((payload.exp ?? Infinity) - (payload.iat ?? 0) > lifetime) return refused('long-lived');
  if (itemName !== undefined && !sameName(payload.item_name, itemName)) return refused('wrong-item');
  if (!sameName(payload.sub, String(payload.item_name))) return refused('wrong-item');
  if (rules.accessId !== undefined && payload.access_id !== rules.accessId) return refused('wrong-access-id');
  if (requestId !== undefined && payload.jti !== requestId) return refused('wrong-request');
  if (method !== undefined && payload.htm !== method) return refused('wrong-method');
  if (body !== undefined && !same(payload.body_sha256, digestOf(body))) return refused('wrong-body');
  return { r: 'trusted', claims: payload };
}

const fetched = new Map<string, ReturnType<typeof createRemoteJWKSet>>();

async function byGithub(
  { token }: Presented,
  rules: TokenRules,
  { github }: GithubTrust,
): Promise<TokenVerdict> {
  const issuer = github.issuer ?? githubIssuer;
  const remote = fetched.get(issuer) ?? createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks`));
  fetched.set(issuer, remote);
  const { payload } = await jwtVerify(token, github.keys ? createLocalJWKSet(github.keys) : remote, {
    algorithms: ['RS256'],
    issuer,
    audience: audienceOf(rules),
    clockTolerance: skew,
    requiredClaims: ['exp', 'iat', 'repository'],
    ...(rules.now ? { currentDate: rules.now() } : {}),
  });
  for (const claim of ['repository', 'ref', 'environment'] as const)
    if (github[claim] !== undefined && payload[claim] !== github[claim]) return refused(`wrong-${claim}`);
  return { r: 'trusted', claims: payload };
}

const audienceOf = ({ audience }: TokenRules): string | string[] =>
  typeof audience === 'string' ? audience : [...audience];

const refused = (why: string): TokenVerdict => ({ r: 'refused', why });

/** What `body_sha256` says of a body. */
export const digestOf = (body: Uint8Array): string => createHash('sha256').update(body).digest('base64url');

/** Names may be written with a leading slash or without. */
export const sameName = (claimed: unknown, expected: string): boolean =>
  typeof claimed === 'string' && claimed.replace(/^\//, '') === expected.replace(/^\//, '');

const same = (claimed: unknown, expected: string): boolean =>
  typeof claimed === 'string' &&
  claimed.length === expected.length &&
  timingSafeEqual(Buffer.from(claimed), Buffer.from(expected));
