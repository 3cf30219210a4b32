/**
 * A double of the few REST calls that we make of GitHub, strict about them: what it does not know, or what GitHub would
 * not take, is answered as GitHub answers and kept in `violations`.
 */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Comment {
  id: number;
  body: string;
  user: { login: string; type: 'Bot' | 'User' };
}

export interface Account {
  login: string;
  /** A job's token or an app's: writes as a bot, and may not ask who it is. */
  type: 'Bot' | 'User';
  /** `pull-requests: write`. */
  write: boolean;
  /** `actions: read`. */
  actions: boolean;
}

export interface Github {
  /** `GITHUB_API_URL`. */
  url: string;
  repository: string;
  accounts: Map<string, Account>;
  /** Of the issue or pull request, oldest first. */
  comments: Map<number, Comment[]>;
  /** Status of every workflow run that is known, by its id. */
  runs: Map<string, 'in_progress' | 'completed'>;
  /** `GET /repos/…`, in order. */
  requests: string[];
  violations: string[];
  /** Every request is answered with this status from now on, when it is set. */
  down: number | null;
  stop(): Promise<void>;
}

const longest = 65_536;
const repository = 'acme/secrets';

export async function startGithub(): Promise<Github> {
  let next = 1000;
  const state: Github = {
    url: '',
    repository,
    accounts: new Map([
      ['job-token', { login: 'github-actions[bot]', type: 'Bot', write: true, actions: true }],
      ['read-token', { login: 'github-actions[bot]', type: 'Bot', write: false, actions: false }],
      ['alices-token', { login: 'alice', type: 'User', write: true, actions: true }],
    ]),
    comments: new Map([[7, []]]),
    runs: new Map(),
    requests: [],
    violations: [],
    down: null,
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  const wrong = (status: number, message: string): Answer => {
    state.violations.push(message);
    return { status, body: { message } };
  };

  const answer = (request: IncomingMessage, body: string): Answer => {
    const { method = '', headers } = request;
    const { pathname, searchParams } = new URL(request.url ?? '/', state.url);
    state.requests.push(`${method} ${request.url}`);
    if (state.down !== null) return { status: state.down, body: { message: 'down' } };
    const [scheme, token = ''] = (headers.authorization ?? '').split(' ');
    const account = state.accounts.get(token);
    if (scheme !== 'Bearer' || !account) return wrong(401, 'Bad credentials');
    if (!headers['user-agent']) return wrong(403, 'no user-agent');
    if (headers.accept !== 'application/vnd.github+json') return wrong(415, `accept: ${headers.accept}`);
    if (headers['x-github-api-version'] !== '2022-11-28') return wrong(400, 'api version');
    const forbidden = { status: 403, body: { message: 'Resource not accessible by integration' } };

    if (method === 'GET' && pathname === '/user')
      return account.type === 'Bot'
        ? forbidden
        : { status: 200, body: { login: account.login, type: 'User' } };
    const [, run] = /^\/repos\/acme\/secrets\/actions\/runs\/(\d+)$/.exec(pathname) ?? [];
    if (method === 'GET' && run !== undefined) {
      const status = state.runs.get(run);
      if (!account.actions) return forbidden;
      if (status === undefined) return { status: 404, body: { message: 'Not Found' } };
      return { status: 200, body: { id: Number(run), status, run_attempt: 1 } };
    }
    const [, place, id = ''] = /^\/repos\/acme\/secrets\/issues\/(?:(comments)\/)?(\d+)/.exec(pathname) ?? [];
    const number = Number(id);
    const exact = (suffix: string, middle = ''): boolean =>
      pathname === `/repos/${repository}/issues/${middle}${id}${suffix}`;
    if (place === undefined && exact('/comments')) {
      const comments = state.comments.get(number);
      if (!comments) return { status: 404, body: { message: 'Not Found' } };
      if (method === 'GET') {
        const known = [...searchParams.keys()].every((key) => ['per_page', 'page'].includes(key));
        const size = Number(searchParams.get('per_page') ?? 30);
        const page = Number(searchParams.get('page') ?? 1);
        if (!known || !(size >= 1 && size <= 100) || !(page >= 1)) return wrong(422, `query ${request.url}`);
        return { status: 200, body: comments.slice((page - 1) * size, page * size) };
      }
      if (method === 'POST') {
        const text = bodyOf(headers, body);
        if (text === null) return wrong(422, `body of ${method} ${pathname}`);
        if (!account.write) return forbidden;
        if (text.length > longest) return wrong(422, `body is too long (${text.length})`);
        next += 1;
        const made: Comment = { id: next, body: text, user: { login: account.login, type: account.type } };
        comments.push(made);
        return { status: 201, body: made };
      }
    }
    if (place === 'comments' && method === 'PATCH' && exact('', 'comments/')) {
      const found = [...state.comments.values()].flat().find((comment) => comment.id === number);
      if (!found) return { status: 404, body: { message: 'Not Found' } };
      const text = bodyOf(headers, body);
      if (text === null) return wrong(422, `body of ${method} ${pathname}`);
      if (!account.write) return forbidden;
      if (text.length > longest) return wrong(422, `body is too long (${text.length})`);
      // GitHub lets a token that writes change anybody's comment: not doing so is up to us.
      if (found.user.login !== account.login)
        state.violations.push(`changed the comment of ${found.user.login}`);
      found.body = text;
      return { status: 200, body: found };
    }
    return wrong(404, `unknown request ${method} ${request.url}`);
  };

  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { status, body } = answer(request, Buffer.concat(chunks).toString());
      response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' });
      response.end(JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return state;
}

interface Answer {
  status: number;
  body: unknown;
}

/** `{"body": "…"}` and nothing else, sent as JSON. */
function bodyOf(headers: IncomingMessage['headers'], text: string): string | null {
  if (!/^application\/json\b/.test(headers['content-type'] ?? '')) return null;
  try {
    const sent: unknown = JSON.parse(text);
    if (typeof sent !== 'object' || sent === null || Object.keys(sent).join() !== 'body') return null;
    const { body } = sent as { body: unknown };
    return typeof body === 'string' && body.trim() !== '' ? body : null;
  } catch {
    return null;
  }
}
