import { mkdtempSync, rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerOptions } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { JSONWebKeySet } from 'jose';
import { UserStore } from '../../examples/custom-rotator/store.ts';
import { workOn } from '../../examples/custom-rotator/work.ts';
import {
  type Answers,
  type Reply,
  type RotatorRequest,
  rotator,
  type Work,
} from '../../src/rotator/index.ts';
import { type HttpsServer, startHttps } from './https.ts';
import { audience } from './rotator.ts';

export type Strike =
  /** The request does not get through. */
  | 'lose-request'
  /** It is done, and the connection cut. */
  | 'lose-reply'
  /** It is done, and never answered. */
  | 'swallow-reply';

/** The work of examples/custom-rotator in this process, where its answers can be struck, forgotten or made up. */
export interface CustomServer extends HttpsServer {
  store: UserStore;
  /** Whom it trusts; set before the first request. */
  keys: JSONWebKeySet;
  /** Milliseconds that its clock is ahead. */
  ahead: number;
  /** What happens to every rotation from now on. */
  fault: Strike | null;
  /** True once `fault` has struck. */
  struck: boolean;
  /** Called when a rotation arrives, and when it is done; the answer goes out after that. */
  during: (moment: 'before' | 'after', request: RotatorRequest) => Promise<void> | void;
  /** Answers instead of the rotator's own. */
  lie: ((request: RotatorRequest) => Reply | null) | null;
  /** What came in, in order. */
  asked: RotatorRequest[];
  /** How many passwords the user has, the former one counted. */
  held(user: string): number;
}

const forgetful: Answers = { read: () => undefined, write: () => undefined };

export async function startCustom(
  options: { replays?: boolean; tls?: ServerOptions; work?: (store: UserStore) => Work } = {},
): Promise<CustomServer> {
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-custom-'));
  const store = new UserStore(join(folder, 'users.db'));
  const database = new DatabaseSync(join(folder, 'users.db'), { readOnly: true });
  const passwords = database.prepare('SELECT former FROM users WHERE name = ?');
  const own = (options.work ?? workOn)(store);
  const cut: { done: boolean } = { done: false };
  const work: Work = async (request, remember) => {
    server.asked.push(request);
    const lie = server.lie?.(request);
    if (lie) return lie;
    if (request.operation !== 'rotate') return own(request, remember);
    await server.during('before', request);
    const fault = server.fault;
    if (fault !== null) server.struck = true;
    cut.done = fault !== null;
    if (fault === 'lose-request') return { status: 503, body: {} };
    const reply = await own(request, remember);
    await server.during('after', request);
    if (fault === 'swallow-reply') await new Promise(() => undefined);
    return reply;
  };
  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    cut.done = false;
    const end = response.end.bind(response);
    response.end = ((...args: Parameters<typeof end>) => {
      if (cut.done) return void request.socket.destroy();
      return end(...args);
    }) as typeof response.end;
    const rules = {
      trust: { keys: server.keys },
      audience,
      answers: options.replays === false ? forgetful : store.answers,
      now: () => new Date(Date.now() + server.ahead),
    };
    rotator(rules, work)(request, response);
  };
  const https = await startHttps(serve, options.tls);
  const server: CustomServer = {
    ...https,
    store,
    keys: { keys: [] },
    ahead: 0,
    fault: null,
    struck: false,
    during: () => undefined,
    lie: null,
    asked: [],
    held: (user) => {
      const row = passwords.get(user);
      return row === undefined ? 0 : row.former === null ? 1 : 2;
    },
    stop: async () => {
      await https.stop();
      database.close();
      store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return server;
}
