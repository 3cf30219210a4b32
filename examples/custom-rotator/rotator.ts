/**
 * A rotator for an application with users of its own. Node 22.18 or newer runs it as it is:
 *
 *   USERS=users.db JWKS=jwks.json AUDIENCE=https://rotator.internal:8443/ \
 *   TLS_CERT=cert.pem TLS_KEY=key.pem PORT=8443 node rotator.ts
 *
 * `npx keyturn jwks > jwks.json` is where JWKS comes from; AUDIENCE is the url in the target.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { rotator } from 'keyturn/rotator';
import { UserStore } from './store.ts';
import { workOn } from './work.ts';

const setting = (name: string): string => {
  const value = process.env[name];
  if (!value) throw new Error(`set ${name}`);
  return value;
};

const store = new UserStore(setting('USERS'));
const server = createServer(
  { cert: readFileSync(setting('TLS_CERT')), key: readFileSync(setting('TLS_KEY')) },
  rotator(
    {
      trust: { keys: JSON.parse(readFileSync(setting('JWKS'), 'utf8')) },
      audience: setting('AUDIENCE'),
      answers: store.answers,
    },
    workOn(store),
    (line) => process.stderr.write(`rotator: ${line}\n`),
  ),
);
server.listen(Number(process.env.PORT ?? 8443), process.env.ADDRESS ?? '0.0.0.0', () => {
  process.stdout.write(`listening at ${(server.address() as AddressInfo).port}\n`);
});
process.once('SIGTERM', () => {
  server.close(() => store.close());
});
