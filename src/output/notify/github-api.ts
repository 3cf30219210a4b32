/** The few calls of GitHub's REST interface that we make. `api` comes from the runner: github.com's or an enterprise's. */
import type { Secret } from '../../secret.ts';
import { request, Undelivered } from './http.ts';

export interface GithubApi {
  /** Each gives the answer's JSON, or null for an empty one, and throws `Undelivered`: `HTTP 403`, `ECONNREFUSED`, … */
  get(path: string): Promise<unknown>;
  post(path: string, body: object): Promise<unknown>;
  patch(path: string, body: object): Promise<unknown>;
}

/** Paths start with a slash. */
export function githubApi(token: Secret, api: string): GithubApi {
  const headers = {
    authorization: `Bearer ${token.reveal()}`,
    accept: 'application/vnd.github+json',
    'x-github-api-version': '2022-11-28',
  };
  const address = (path: string): string => `${api.replace(/\/$/, '')}${path}`;
  return {
    get: (path) => request(address(path), { method: 'GET', headers }),
    post: (path, body) => request(address(path), { method: 'POST', headers, body: JSON.stringify(body) }),
    patch: (path, body) => request(address(path), { method: 'PATCH', headers, body: JSON.stringify(body) }),
  };
}

/** `/repos/owner/name`. Throws `Undelivered` for anything else than that shape: it becomes part of an address. */
export function repositoryPath(repository: string): string {
  if (!/^[A-Za-z0-9-]+\/[A-Za-z0-9._-]+$/.test(repository)) throw new Undelivered('no repository');
  return `/repos/${repository}`;
}
