/**
 * The two ends of a job that holds no AWS key: GitHub's issuer of tokens, and the part of STS that takes them and gives
 * out moto's sessions. Strict: signature, issuer, audience, subject, expiry, role and session name are all looked at.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import { errors, generateKeyPair, jwtVerify, SignJWT } from 'jose';
import { bytesOf, refuse } from './aws-proxy.ts';
import type { Moto } from './moto.ts';

const issuer = 'https://token.actions.githubusercontent.com';

export interface WebSts {
  readonly url: string;
  /** How often a token was taken. */
  readonly exchanged: number;
  /** A token as GitHub gives it to a job. */
  token(claims?: { audience?: string; subject?: string; expires?: string }): Promise<string>;
  stop(): Promise<void>;
}

/** Lets `subject` into `roleArn`. */
export async function startWebSts(
  moto: Moto,
  { roleArn, subject }: { roleArn: string; subject: string },
): Promise<WebSts> {
  const { publicKey, privateKey } = await generateKeyPair('RS256');
  const admin = new STSClient({ endpoint: moto.url, region: 'us-east-1', credentials: moto.admin });
  let exchanged = 0;

  const handle = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const form = new URLSearchParams((await bytesOf(incoming)).toString());
    if (form.get('Action') !== 'AssumeRoleWithWebIdentity' || incoming.headers.authorization !== undefined)
      return refuse(response, 400, 'InvalidAction');
    const name = form.get('RoleSessionName') ?? '';
    if (!/^[\w+=,.@-]{2,64}$/.test(name)) return refuse(response, 400, 'ValidationError');
    try {
      const { payload } = await jwtVerify(form.get('WebIdentityToken') ?? '', publicKey, {
        issuer,
        audience: 'sts.amazonaws.com',
        algorithms: ['RS256'],
      });
      if (payload.sub !== subject || form.get('RoleArn') !== roleArn)
        return refuse(response, 403, 'AccessDenied');
    } catch (error) {
      const expired = error instanceof errors.JWTExpired;
      return refuse(response, 400, expired ? 'ExpiredTokenException' : 'InvalidIdentityToken');
    }
    const command = new AssumeRoleCommand({ RoleArn: roleArn, RoleSessionName: name });
    const { Credentials: session } = await admin.send(command);
    exchanged += 1;
    response.writeHead(200, { 'content-type': 'text/xml' });
    response.end(`<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><SubjectFromWebIdentityToken>${subject}</SubjectFromWebIdentityToken>
<Credentials><AccessKeyId>${session?.AccessKeyId}</AccessKeyId><SecretAccessKey>${session?.SecretAccessKey}</SecretAccessKey>
<SessionToken>${session?.SessionToken}</SessionToken><Expiration>${session?.Expiration?.toISOString()}</Expiration></Credentials>
</AssumeRoleWithWebIdentityResult><ResponseMetadata><RequestId>0</RequestId></ResponseMetadata>
</AssumeRoleWithWebIdentityResponse>`);
  };
  const server = createServer((incoming, response) => {
    handle(incoming, response).catch(() => incoming.socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get exchanged() {
      return exchanged;
    },
    token: ({ audience = 'sts.amazonaws.com', subject: sub = subject, expires = '5m' } = {}) =>
      new SignJWT({ sub })
        .setProtectedHeader({ alg: 'RS256', kid: 'github' })
        .setIssuer(issuer)
        .setAudience(audience)
        .setIssuedAt()
        .setExpirationTime(expires)
        .sign(privateKey),
    async stop() {
      admin.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
