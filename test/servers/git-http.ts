/** Real `git http-backend` behind a small server with basic auth, which can lose answers on demand. */
import { spawn } from 'node:child_process';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface GitUser {
  password: string;
  /** False: may read, and gets a 403 for a push. */
  write: boolean;
}

/** `drop`: git does the work and the client never hears of it. `hang`: nothing happens at all. */
export type Fate = 'answer' | 'drop' | 'hang';

export interface GitHttp {
  /** Address of the repository `name` below the root, with the user's credentials when given. */
  url(name: string, user?: string): string;
  /** Decides what becomes of a request; asked once per request, after authentication. */
  fate: (request: { method: string; url: string }) => Fate;
  close(): Promise<void>;
}

/** Serves every bare repository below `root` on 127.0.0.1. */
export async function serveGit(root: string, users: Record<string, GitUser>): Promise<GitHttp> {
  const server = createServer((request, response) => {
    const name = identify(request, users);
    const user = name === null ? undefined : users[name];
    const url = request.url ?? '';
    if (name === null || user === undefined) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end('who are you?\n');
      return;
    }
    if (!user.write && url.includes('git-receive-pack')) {
      response.writeHead(403).end('read only\n');
      return;
    }
    const fate = running.fate({ method: request.method ?? '', url });
    if (fate === 'hang') return;
    backend(root, name, request, response, fate === 'drop');
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  const { port } = server.address() as AddressInfo;
  const running: GitHttp = {
    url(name, user) {
      const known = user === undefined ? undefined : users[user];
      return `http://${known ? `${user}:${known.password}@` : ''}127.0.0.1:${port}/${name}`;
    },
    fate: () => 'answer',
    async close() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
  return running;
}

function identify(request: IncomingMessage, users: Record<string, GitUser>): string | null {
  const [scheme, token] = (request.headers.authorization ?? '').split(' ');
  if (scheme?.toLowerCase() !== 'basic' || token === undefined) return null;
  const [name, password] = Buffer.from(token, 'base64').toString().split(':');
  return name !== undefined && users[name]?.password === password ? name : null;
}

function backend(
  root: string,
  user: string,
  request: IncomingMessage,
  response: ServerResponse,
  drop: boolean,
) {
  const url = new URL(request.url ?? '/', 'http://127.0.0.1');
  const header = (name: string) => String(request.headers[name] ?? '');
  const child = spawn('git', ['-c', 'safe.directory=*', 'http-backend'], {
    env: {
      PATH: process.env.PATH,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      REMOTE_USER: user,
      REQUEST_METHOD: request.method,
      PATH_INFO: decodeURIComponent(url.pathname),
      QUERY_STRING: url.search.slice(1),
      CONTENT_TYPE: header('content-type'),
      ...(request.headers['content-length'] ? { CONTENT_LENGTH: header('content-length') } : {}),
      HTTP_CONTENT_ENCODING: header('content-encoding'),
      GIT_PROTOCOL: header('git-protocol'),
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const out: Buffer[] = [];
  request.pipe(child.stdin);
  child.stdin.on('error', () => undefined);
  child.stdout.on('data', (bytes: Buffer) => out.push(bytes));
  child.on('close', () => {
    if (drop) {
      response.destroy();
      return;
    }
    const all = Buffer.concat(out);
    const end = all.indexOf('\r\n\r\n');
    for (const line of all.subarray(0, Math.max(end, 0)).toString().split('\r\n')) {
      const [name = '', value = ''] = line.split(/: (.*)/s);
      if (name.toLowerCase() === 'status') response.statusCode = Number.parseInt(value, 10);
      else if (name !== '') response.setHeader(name, value);
    }
    response.end(all.subarray(end + 4));
  });
}
