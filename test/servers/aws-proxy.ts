import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';

export type Fault =
  /** AWS does it; nobody hears of it. */
  | 'lose-reply'
  /** AWS never gets it. */
  | 'lose-request'
  | 'throttle'
  | 'fail';

/**
 * Stands before moto and is what moto is not: new keys are refused now and then at first, switched-off keys always,
 * and answers get lost on demand.
 */
export interface AwsProxy {
  readonly port: number;
  readonly url: string;
  /** Every request, as `Action by AKIA…`. */
  readonly seen: string[];
  /** Roles that are assumed with an external id, and no other way; moto asks for none. */
  readonly trust: Map<string, string>;
  /** How the first calls of a key made from now on end: `true` is refused. */
  flap: boolean[];
  /** Strikes the next request with that action. `struck` may kill the client. */
  arm(action: string, fault: Fault, struck?: () => void): void;
  stop(): Promise<void>;
}

export async function startAwsProxy(upstream: number): Promise<AwsProxy> {
  const inactive = new Set<string>();
  const flapping = new Map<string, boolean[]>();
  let armed: { action: string; fault: Fault; struck: () => void } | undefined;
  const proxy = { seen: [] as string[], flap: [] as boolean[], trust: new Map<string, string>() };

  const handle = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await bytesOf(incoming);
    const form = new URLSearchParams(body.toString());
    const action = form.get('Action') ?? '';
    const key = /Credential=([^/]+)\//.exec(incoming.headers.authorization ?? '')?.[1] ?? '';
    proxy.seen.push(`${action} by ${key}`);
    if (inactive.has(key) || (flapping.get(key)?.shift() ?? false))
      return refuse(response, 403, 'InvalidClientTokenId');
    const externalId = proxy.trust.get(form.get('RoleArn') ?? '');
    if (action === 'AssumeRole' && externalId !== undefined && form.get('ExternalId') !== externalId)
      return refuse(response, 403, 'AccessDenied');
    const strikes = armed?.action === action ? armed : undefined;
    if (strikes) armed = undefined;
    if (strikes?.fault === 'throttle') return refuse(response, 400, 'Throttling');
    if (strikes?.fault === 'fail') return refuse(response, 500, 'ServiceFailure');
    if (strikes?.fault === 'lose-request') {
      strikes.struck();
      incoming.socket.destroy();
      return;
    }
    const answer = await forward(incoming, body, upstream);
    const text = answer.body.toString();
    if (action === 'CreateAccessKey') {
      const id = /<AccessKeyId>([^<]+)</.exec(text)?.[1];
      if (id !== undefined) flapping.set(id, [...proxy.flap]);
    }
    if (action === 'UpdateAccessKey' && answer.status === 200) inactive.add(form.get('AccessKeyId') ?? '');
    if (strikes) {
      strikes.struck();
      incoming.socket.destroy();
      return;
    }
    response.writeHead(answer.status, answer.headers).end(answer.body);
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
    arm(action: string, fault: Fault, struck: () => void = () => undefined) {
      armed = { action, fault, struck };
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
