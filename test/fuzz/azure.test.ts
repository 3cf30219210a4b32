/** A login, a Graph and an ARM that lie: nothing is believed that was not shown, nothing goes where it does not belong. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AzureDouble, startAzure } from '../servers/azure/server.ts';
import { trust } from '../servers/azure/trust.ts';
import { startHttps } from '../servers/https.ts';
import { makeCertificates } from '../servers/tls.ts';
import { lieTo } from './azure.ts';
import { calm } from './calm.ts';
import { httpLiar } from './http.ts';
import { type Dice, eachSeed, seeds } from './seeds.ts';
import { interrogate, type Said, type Tenant, tenantOf } from './tenant.ts';

/** Seeds at the same time. */
const width = 4;
const unclean = /this is a bug|[^\x20-\x7e]/;
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

describe('a tenant that lies', () => {
  /** One for each seed that is tried at the same time. */
  const doubles: AzureDouble[] = [];
  let thief: { url: string; heard: string[]; stop(): Promise<void> };
  const certificates = makeCertificates();
  beforeAll(async () => {
    for (let index = 0; index < width; index += 1) doubles.push(await startAzure());
    const heard: string[] = [];
    const server = await startHttps(
      (request, response) => {
        heard.push(`${request.method} ${request.url}`);
        response.end('{}');
      },
      { cert: certificates.certPem, key: certificates.keyPem },
    );
    thief = { url: server.url, heard, stop: server.stop };
    for (const { caPem } of [...doubles, certificates]) trust(caPem);
  });
  afterAll(async () => {
    for (const double of doubles) await double.stop();
    await thief?.stop();
  });

  const eachTenant = (
    count: number,
    work: (tenant: Tenant, azure: AzureDouble, dice: Dice) => Promise<void>,
  ) =>
    calm(() =>
      eachSeed(seeds(count), width, async (_, dice) => {
        const azure = doubles.pop();
        if (azure === undefined) throw new Error('no double is free');
        await work(tenantOf(azure), azure, dice).finally(() => {
          azure.lie = () => false;
          doubles.push(azure);
        });
        expect(thief.heard.splice(0)).toEqual([]);
      }),
    );
  /** What no lie may bring about. */
  function judge(said: Said, { app, admin, account }: Tenant): void {
    for (const words of said.words) expect(words).not.toMatch(unclean);
    const text = JSON.stringify(said.words);
    for (const secret of [...app.secrets, ...admin.secrets]) expect(text).not.toContain(secret.secretText);
    expect(said.denied.r).not.toBe('ok');
    expect(['ok', 'ok-restricted']).not.toContain(said.probe.r);
    expect(['applied', 'changed']).not.toContain(said.witness);
    if (said.issue.r === 'issued') {
      const { handle, value } = said.issue.issued;
      expect(handle).toMatch(uuid);
      if (said.verified?.r === 'ok')
        expect(app.secrets.map(({ secretText }) => secretText)).toContain(value.reveal());
    }
    if (said.preflight.r === 'ready')
      for (const { handle, createdAt } of said.preflight.keys) {
        expect(handle).toMatch(uuid);
        expect(Number.isNaN(Date.parse(createdAt))).toBe(false);
      }
    if (said.userPreflight.r === 'ready')
      expect(said.userPreflight.baseline.changed).toMatch(/^$|^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    // renewed by now, or not
    if (said.read.r === 'read')
      for (const { name, value } of said.read.slots) {
        expect(value.reveal()).toMatch(/^[A-Za-z0-9+/]{86}==$/);
        if (name === 'key2') expect(value.reveal()).toBe(account.keys[1]?.value);
      }
  }

  it('in every byte that it sends: nothing comes of it', async () => {
    await eachTenant(20, async (tenant, { directory }, dice) => {
      const liar = await httpLiar(dice, certificates);
      const origin = `https://localhost:${liar.port}`;
      const lied = { ...tenant, azure: { origin, directory } };
      const said = await interrogate(lied).finally(() => liar.stop());
      judge(said, lied);
      const { preflight, issue, userPreflight, set, read, renew } = said;
      const believed = [preflight, issue, userPreflight, set, read, renew].map(({ r }) => r);
      for (const r of ['ready', 'issued', 'applied', 'read', 'renewed']) expect(believed).not.toContain(r);
    });
  }, 900_000);

  it('behind a login that is true: nothing comes of it', async () => {
    await eachTenant(20, async (tenant, _, dice) => {
      const liar = await httpLiar(dice, certificates);
      const origin = `https://localhost:${liar.port}`;
      const lied = { ...tenant, endpoints: { graph: origin, management: origin } };
      const said = await interrogate(lied).finally(() => liar.stop());
      judge(said, lied);
      // it may say that it did what it was told: what is asked after that is what counts
      const believed = [said.preflight, said.issue, said.userPreflight, said.read].map(({ r }) => r);
      for (const r of ['ready', 'issued', 'read']) expect(believed).not.toContain(r);
    });
  }, 900_000);

  it('in a word of what is true: nothing wrong is believed, nothing goes elsewhere', async () => {
    await eachTenant(40, async (tenant, azure, dice) => {
      azure.lie = (_, truth, response) => {
        if (dice.below(3) > 0) return false;
        lieTo(response, truth, dice, thief.url);
        return true;
      };
      const groupless = dice.below(2) === 0;
      judge(await interrogate({ ...tenant, groupless }), tenant);
    });
  }, 900_000);

  it.each([301, 302, 303, 307, 308])(
    'and sends on (%i): no token, password or key follows',
    async (status) => {
      const [azure] = doubles;
      if (azure === undefined) throw new Error('no double');
      for (const operation of [
        'token',
        'findApplication',
        'addPassword',
        'getUser',
        'patchUser',
        'listKeys',
      ]) {
        azure.lie = (asked, _, response) => {
          if (asked !== operation) return false;
          response.writeHead(status, { location: `${thief.url}/v1.0/users/x` }).end();
          return true;
        };
        const lied = tenantOf(azure);
        judge(await interrogate(lied), lied);
        expect([operation, thief.heard.splice(0)]).toEqual([operation, []]);
      }
      azure.lie = () => false;
    },
    120_000,
  );

  it('and has its next page elsewhere: nobody goes there', async () => {
    const [azure] = doubles;
    if (azure === undefined) throw new Error('no double');
    azure.lie = (asked, _, response) => {
      if (asked !== 'listAccounts') return false;
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ value: [], nextLink: `${thief.url}/subscriptions` }));
      return true;
    };
    const lied = { ...tenantOf(azure), groupless: true };
    const said = await interrogate(lied);
    azure.lie = () => false;
    judge(said, lied);
    expect([said.read.r, thief.heard.splice(0)]).toEqual(['unreachable', []]);
  }, 60_000);
});
