import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Provider } from 'oidc-provider';
import { refusal, type Work } from '../../src/rotator/index.ts';

/** A real OpenID provider whose registration access tokens are replaced with every update of a client. */
export interface OidcServer {
  /** A client of its own, with its first token. */
  register(): Promise<{ id: string; token: string }>;
  accepts(id: string, token: string): Promise<boolean>;
  /** Rotates such tokens: what the provider answers to an update is the only place where the new one ever is. */
  work: Work;
  stop(): Promise<void>;
}

export async function startOidc(): Promise<OidcServer> {
  const http = createServer();
  await new Promise<void>((done) => http.listen(0, '127.0.0.1', done));
  const issuer = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const provider = new Provider(issuer, {
    features: {
      devInteractions: { enabled: false },
      registration: { enabled: true },
      registrationManagement: { enabled: true, rotateRegistrationAccessToken: true },
    },
    clientBasedCORS: () => false,
  });
  http.on('request', provider.callback());

  const call = (method: string, path: string, token: string | undefined, body?: unknown) =>
    fetch(`${issuer}${path}`, {
      method,
      headers: {
        'content-type': 'application/json',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  const accepts = async (id: string, token: string): Promise<boolean> =>
    (await call('GET', `/reg/${id}`, token)).status === 200;

  return {
    accepts,
    async register() {
      const answer = await call('POST', '/reg', undefined, { redirect_uris: ['https://app.example/cb'] });
      const client = (await answer.json()) as Record<string, string>;
      return { id: client.client_id ?? '', token: client.registration_access_token ?? '' };
    },
    async work(request, remember) {
      const id = request.username ?? '';
      if (request.operation === 'verify')
        return { status: 200, body: { valid: await accepts(id, request.password ?? '') } };
      if (request.operation !== 'rotate') return refusal(400, 'unsupported');
      const { token } = JSON.parse(request.payload);
      const read = await call('GET', `/reg/${id}`, token);
      if (read.status !== 200) return refusal(409, 'bad-current');
      const {
        registration_access_token: _,
        registration_client_uri: __,
        client_id_issued_at: ___,
        client_secret_expires_at: ____,
        ...client
      } = (await read.json()) as Record<string, unknown>;
      const updated = await call('PUT', `/reg/${id}`, token, client);
      if (updated.status !== 200) return { status: 502, body: {} };
      const { registration_access_token: fresh } = (await updated.json()) as Record<string, string>;
      return remember({ status: 200, body: { payload: fresh } });
    },
    stop: () =>
      new Promise((done) => {
        http.close(() => done());
        http.closeAllConnections();
      }),
  };
}
