import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { tally } from '../tally.ts';

export type Fault =
  /** AWS does it; nobody hears of it. */
  | 'lose-reply'
  /** AWS never gets it. */
  | 'lose-request'
  | 'throttle'
  | 'fail';

export interface Armed {
  user?: string;
  times?: number;
  struck?: () => void;
}

/**
 * Stands before moto and is what moto is not: new keys are refused now and then at first, switched-off keys always,
 * and answers get lost on demand.
 */
export interface AwsProxy {
  readonly port: number;
  readonly url: string;
  /** Every request, as `Action by AKIA…`. */
  readonly seen: string[];
  /** Actions that came over a connection on which something had come before. */
  readonly overKept: string[];
  /** For whom keys were asked, in order. */
  readonly made: string[];
  /** Roles that are assumed with an external id, and no other way; moto asks for none. */
  readonly trust: Map<string, string>;
  /** Keys that a user has beyond what moto allows; AWS counts late, and so lets some have eight. */
  readonly beyond: Map<string, { id: string; active: boolean; createdAt: string }[]>;
  /** How the first calls of a key made from now on end: `true` is refused. */
  flap: boolean[];
  /** Strikes the next request with that action, or the next `times`, or that for `user` alone. `struck` may kill the client. */
  arm(action: string, fault: Fault, more?: Armed): void;
  stop(): Promise<void>;
}

export async function startAwsProxy(upstream: number): Promise<AwsProxy> {
  const inactive = new Set<string>();
  const used = new WeakSet<object>();
  const flapping = new Map<string, boolean[]>();
  const armed: (Armed & { action: string; fault: Fault; times: number })[] = [];
  const proxy = {
    seen: [] as string[],
    overKept: [] as string[],
    made: [] as string[],
    flap: [] as boolean[],
    trust: new Map<string, string>(),
    beyond: new Map() as AwsProxy['beyond'],
  };

  const handle = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await bytesOf(incoming);
    const form = new URLSearchParams(body.toString());
    const action = form.get('Action') ?? '';
    const key = /Credential=([^/]+)\//.exec(incoming.headers.authorization ?? '')?.[1] ?? '';
    const user = form.get('UserName') ?? '';
    proxy.seen.push(`${action} by ${key}`);
    if (used.has(incoming.socket)) proxy.overKept.push(action);
    used.add(incoming.socket);
    if (action === 'CreateAccessKey') proxy.made.push(user);
    if (inactive.has(key) || (flapping.get(key)?.shift() ?? false))
      return refuse(response, 403, 'InvalidClientTokenId');
    if (skewOf(incoming.headers['x-amz-date']) > 5 * 60_000)
      return refuse(response, 403, 'SignatureDoesNotMatch');
    const more = proxy.beyond.get(user);
    const extra = more?.find(({ id }) => id === form.get('AccessKeyId'));
    if (more && extra) {
      if (action === 'UpdateAccessKey') extra.active = false;
      if (action === 'DeleteAccessKey') more.splice(more.indexOf(extra), 1);
      return accept(response, action);
    }
    if (more?.length && action === 'CreateAccessKey') return refuse(response, 409, 'LimitExceeded');
    const externalId = proxy.trust.get(form.get('RoleArn') ?? '');
    if (action === 'AssumeRole' && externalId !== undefined && form.get('ExternalId') !== externalId)
      return refuse(response, 403, 'AccessDenied');
    const strikes = armed.find(
      (one) => one.times > 0 && one.action === action && (one.user ?? user) === user,
    );
    if (strikes) strikes.times -= 1;
    if (strikes?.fault === 'throttle') return refuse(response, 400, 'Throttling');
    if (strikes?.fault === 'fail') return refuse(response, 500, 'ServiceFailure');
    if (strikes?.fault === 'lose-request') {
      strikes.struck?.();
      incoming.socket.destroy();
      return;
    }
    const answer = await forward(incoming, body, upstream);
    const text = answer.body.toString();
    if (action === 'CreateAccessKey') {
      const id = /<AccessKeyId>([^<]+)</.exec(text)?.[1];
      if (id !== undefined) flapping.set(id, [...proxy.flap]);
    }
    if (more?.length && action === 'ListAccessKeys')
      answer.body = Buffer.from(
        text.replace('<AccessKeyMetadata>', `<AccessKeyMetadata>${more.map(listed).join('')}`),
      );
    if (action === 'UpdateAccessKey' && answer.status === 200) inactive.add(form.get('AccessKeyId') ?? '');
    if (strikes) {
      strikes.struck?.();
      incoming.socket.destroy();
      return;
    }
    const { 'content-length': _, ...headers } = answer.headers;
    response.writeHead(answer.status, headers).end(answer.body);
  };
  const server = createServer((incoming, response) => {
    handle(incoming, response).catch(() => incoming.socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return Object.assign(proxy, {
    port,
    url: `http://127.0.0.1:${port}`,
    arm(action: string, fault: Fault, { times = 1, ...more }: Armed = {}) {
      armed.push({ action, fault, times, ...more });
    },
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  });
}

/** One call by the plain SDK: a key may be allowed nothing, and AWS knows it all the same. */
export async function acceptsKey(
  endpoint: string,
  credentials: { accessKeyId: string; secretAccessKey: string },
): Promise<boolean> {
  tally('logins', 1);
  const sts = new STSClient({ endpoint, region: 'us-east-1', maxAttempts: 1, credentials });
  try {
    return await sts.send(new GetCallerIdentityCommand({})).then(
      () => true,
      () => false,
    );
  } finally {
    sts.destroy();
  }
}

/** How far the clock of who signed is off; AWS takes five minutes. */
function skewOf(date: string | string[] | undefined): number {
  const [, y, mo, d, h, mi, s] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(`${date}`) ?? [];
  return y === undefined ? 0 : Math.abs(Date.parse(`${y}-${mo}-${d}T${h}:${mi}:${s}Z`) - Date.now());
}

const listed = ({ id, active, createdAt }: { id: string; active: boolean; createdAt: string }): string =>
  `<member><AccessKeyId>${id}</AccessKeyId><Status>${active ? 'Active' : 'Inactive'}</Status><CreateDate>${createdAt}</CreateDate></member>`;

function accept(response: ServerResponse, action: string): void {
  response.writeHead(200, { 'content-type': 'text/xml' });
  response.end(
    `<${action}Response xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><${action}Result/><ResponseMetadata><RequestId>0</RequestId></ResponseMetadata></${action}Response>`,
  );
}

export function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'content-type': 'text/xml' });
  response.end(
    `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>no</Message></Error><RequestId>0</RequestId></ErrorResponse>`,
  );
}

async function forward(
  incoming: IncomingMessage,
  body: Buffer,
  port: number,
): Promise<{ status: number; headers: IncomingMessage['headers']; body: Buffer }> {
  const { method, url: path, headers } = incoming;
  const call = request({ host: '127.0.0.1', port, method, path, headers });
  call.end(body);
  const [answer] = (await once(call, 'response')) as [IncomingMessage];
  const { 'transfer-encoding': _, connection: __, ...kept } = answer.headers;
  return { status: answer.statusCode ?? 500, headers: kept, body: await bytesOf(answer) };
}

export async function bytesOf(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
