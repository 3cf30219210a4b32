/** Every way to log in to a tenant, through the real SDK: with a secret, a certificate, another issuer's word, or none. */
import { execFileSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AzureTarget } from '../../src/manifests/model.ts';
import { Secret } from '../../src/secret.ts';
import { application as driver } from '../../src/targets/azure.ts';
import type { IssuedPreflight } from '../../src/targets/issued.ts';
import { type Application, addApplication, addSecret } from '../servers/azure/directory.ts';
import { type AzureDouble, startAzure } from '../servers/azure/server.ts';
import { trust } from '../servers/azure/trust.ts';
import { targetAt } from './azure-fixture.ts';

const subject = 'repo:acme/secrets:environment:keyturn';
const github = 'https://token.actions.githubusercontent.com';
const jwt = (claims: object): string => {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'RS256', typ: 'JWT' })}.${part(claims)}.c2lnbmVk`;
};

describe('a login to a tenant', () => {
  let azure: AzureDouble;
  let admin: Application;
  let app: Application;
  const before = { ...process.env };
  const servers: Server[] = [];
  beforeAll(async () => {
    azure = await startAzure();
    trust(azure.caPem);
  });
  afterAll(() => azure?.stop());
  beforeEach(() => {
    admin = addApplication(azure.directory, 'keyturn', {
      roles: ['Application.ReadWrite.OwnedBy'],
      subjects: [subject],
    });
    app = addApplication(azure.directory, 'shop', { owners: [admin.appId] });
  });
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
    expect(azure.violations.splice(0)).toEqual([]);
  });

  const preflight = (
    how: AzureTarget['login']['how'],
    value?: string,
    clientId: string | undefined = admin.appId,
  ): Promise<IssuedPreflight> =>
    driver
      .rotator({
        target: targetAt(azure, { clientId, login: { how } }),
        username: app.appId,
        actor: 'target',
        admin: value === undefined ? undefined : { username: admin.appId, password: new Secret(value) },
        login: undefined,
      })
      .preflight();
  const serve = async (answer: (url: URL, header: (name: string) => string) => object): Promise<string> => {
    const server = createServer((request, response) => {
      const header = (name: string) => String(request.headers[name] ?? '');
      const body = answer(new URL(request.url ?? '/', 'http://127.0.0.1'), header);
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };

  it('with a client secret', async () => {
    const { secretText } = addSecret(admin, null);
    expect(await preflight('secret', secretText)).toMatchObject({ r: 'ready' });
    expect(await preflight('secret', 'of nobody at all')).toMatchObject({ r: 'refused', why: 'bad-login' });
  });

  it('with a certificate, and with no other one', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'keyturn-certificate-'));
    const make = (name: string): { pem: string; thumbprint: string; certificate: string } => {
      const args = `req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=${name} -keyout ${name}.key -out ${name}.pem`;
      execFileSync('openssl', args.split(' '), { cwd: folder, stdio: 'pipe' });
      const certificate = readFileSync(join(folder, `${name}.pem`), 'utf8');
      const thumbprint = createHash('sha1').update(new X509Certificate(certificate).raw).digest('base64url');
      return {
        pem: readFileSync(join(folder, `${name}.key`), 'utf8') + certificate,
        thumbprint,
        certificate,
      };
    };
    try {
      const [known, other] = [make('known'), make('other')];
      admin.certificates.push({ thumbprint: known.thumbprint, pem: known.certificate });
      expect(await preflight('certificate', known.pem)).toMatchObject({ r: 'ready' });
      expect(await preflight('certificate', other.pem)).toMatchObject({ r: 'refused', code: 'AADSTS700027' });
      expect(await preflight('certificate', 'no certificate')).toMatchObject({ why: 'bad-login' });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('by the token of a GitHub job, asked for with the right audience', async () => {
    expect(await preflight('github')).toMatchObject({
      r: 'refused',
      why: 'bad-login',
      hint: expect.stringMatching(/OIDC/),
    });
    const url = await serve((asked, header) => ({
      value:
        header('authorization') === 'bearer of-the-job'
          ? jwt({ iss: github, sub: subject, aud: asked.searchParams.get('audience') })
          : '',
    }));
    process.env.ACTIONS_ID_TOKEN_REQUEST_URL = `${url}/token?api-version=2.0`;
    process.env.ACTIONS_ID_TOKEN_REQUEST_TOKEN = 'of-the-job';
    expect(await preflight('github')).toMatchObject({ r: 'ready' });
    admin.subjects = ['repo:acme/secrets:ref:refs/heads/other'];
    expect(await preflight('github')).toMatchObject({ r: 'refused', code: 'AADSTS70021' });
  });

  it('by a token that lies in the file of workload identity', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'keyturn-token-'));
    try {
      expect(await preflight('token-file')).toMatchObject({ r: 'refused', why: 'bad-login' });
      process.env.AZURE_FEDERATED_TOKEN_FILE = join(folder, 'token');
      writeFileSync(
        join(folder, 'token'),
        `${jwt({ iss: github, sub: subject, aud: 'api://AzureADTokenExchange' })}\n`,
      );
      expect(await preflight('token-file')).toMatchObject({ r: 'ready' });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('as the managed identity of a service', async () => {
    const { secretText } = addSecret(admin, null);
    const url = await serve((asked, header) => {
      expect([header('x-identity-header'), asked.searchParams.get('resource')]).toEqual([
        'of-the-service',
        'https://graph.microsoft.com',
      ]);
      return tokens[0] ?? {};
    });
    const tokens = [await tokenFor(secretText)];
    process.env.IDENTITY_ENDPOINT = `${url}/msi/token`;
    process.env.IDENTITY_HEADER = 'of-the-service';
    expect(await preflight('managed-identity')).toMatchObject({ r: 'ready' });
  });

  it('by what the environment says', async () => {
    const { secretText } = addSecret(admin, null);
    Object.assign(process.env, {
      AZURE_TENANT_ID: azure.directory.tenantId,
      AZURE_CLIENT_ID: admin.appId,
      AZURE_CLIENT_SECRET: secretText,
    });
    expect(await preflight('environment')).toMatchObject({ r: 'ready' });
  });

  /** What the endpoint of App Service answers: a token that Entra gave it. */
  async function tokenFor(secretText: string): Promise<object> {
    const body = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: admin.appId,
      client_secret: secretText,
      scope: 'https://graph.microsoft.com/.default',
    });
    const url = `${azure.origin}/${azure.directory.tenantId}/oauth2/v2.0/token`;
    const answer = (await (await fetch(url, { method: 'POST', body })).json()) as { access_token: string };
    return {
      access_token: answer.access_token,
      expires_on: String(Math.floor(Date.now() / 1000) + 3000),
      resource: 'https://graph.microsoft.com',
      token_type: 'Bearer',
    };
  }
});
