/** HTTP answers that lie: AWS, channels and rotators. */
import { describe, expect, it } from 'vitest';
import { request, Undelivered } from '../../src/output/notify/http.ts';
import { Secret } from '../../src/secret.ts';
import type { Target } from '../../src/targets/driver.ts';
import { driverOf } from '../../src/targets/registry.ts';
import { post } from '../../src/targets/web/http.ts';
import { asking } from '../conformance-issued.ts';
import { makeCertificates } from '../servers/tls.ts';
import { calm } from './calm.ts';
import { httpLiar } from './http.ts';
import { eachSeed, seeds } from './seeds.ts';

const patience = 600;

const awsAt = (port: number): Target => ({
  name: 'aws',
  type: 'aws',
  host: '127.0.0.1',
  port,
  verifyHost: undefined,
  database: undefined,
  tls: { mode: 'disable', ca: undefined, caFile: undefined, serverName: undefined },
  credentials: undefined,
  concurrency: 1,
  timeout: patience,
  aws: {
    accountId: '123456789012',
    region: 'us-east-1',
    partition: 'aws',
    endpoint: `http://127.0.0.1:${port}`,
    profile: undefined,
    assumeRole: undefined,
  },
  source: { file: 'a.yaml', line: 1, column: 1 },
});

const unclean = /this is a bug|[^\x20-\x7e]/;

describe('HTTP answers that lie', () => {
  it('as AWS: no key comes of them, no key is believed', async () => {
    const driver = await driverOf('aws');
    if (driver.machine !== 'issued') throw new Error('not an issued driver');
    await calm(() =>
      eachSeed(seeds(40), 10, async (_, dice) => {
        const liar = await httpLiar(dice);
        const began = performance.now();
        const rotator = driver.rotator({
          target: awsAt(liar.port),
          username: 'app',
          actor: 'target',
          admin: { username: 'AKIAADMINADMINADMIN0', password: new Secret('an-admin-key-of-nobody') },
          login: undefined,
        });
        const key = { handle: 'AKIAAPPAPPAPPAPP0000', value: new Secret('a-value-of-nobody-at-all') };
        const answers = [
          await rotator.preflight(),
          await rotator.issue(asking),
          await rotator.verify(key),
          await rotator.lastUsedAt('AKIAAPPAPPAPPAPP0000'),
        ];
        await rotator.close();
        await liar.stop();
        expect(answers.filter(({ r }) => ['ready', 'issued', 'ok'].includes(r))).toEqual([]);
        for (const answer of answers) expect('detail' in answer ? answer.detail : '').not.toMatch(unclean);
        // three tries at most of each of four
        expect(performance.now() - began).toBeLessThan(60_000);
      }),
    );
  }, 240_000);

  it('as a channel: said to be undelivered, or an answer that is none', async () => {
    await calm(() =>
      eachSeed(seeds(60), 10, async (_, dice) => {
        const liar = await httpLiar(dice);
        const answer = await request(
          `http://127.0.0.1:${liar.port}/hook`,
          { method: 'POST', body: '{}' },
          patience,
        ).catch((error: unknown) => error);
        await liar.stop();
        if (answer instanceof Error) {
          expect(answer).toBeInstanceOf(Undelivered);
          expect(answer.message).toMatch(/^[\w ./:]{1,60}$/);
        }
      }),
    );
  }, 120_000);

  it('as a rotator: an answer of JSON, or none', async () => {
    const certificates = makeCertificates();
    await calm(() =>
      eachSeed(seeds(60), 10, async (_, dice) => {
        const liar = await httpLiar(dice, certificates);
        const endpoint = {
          url: `https://127.0.0.1:${liar.port}/rotate`,
          ca: certificates.caPem,
          serverName: undefined,
          client: undefined,
          allowAddresses: ['127.0.0.1'],
          timeout: patience,
        };
        const result = await post(endpoint, Buffer.from('{}'), {});
        await liar.stop();
        if (result.r === 'answer') expect(result.json === null || !Array.isArray(result.json)).toBe(true);
        else expect(result.detail).not.toMatch(unclean);
      }),
    );
  }, 120_000);
});
