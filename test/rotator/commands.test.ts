import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseIdentity } from '../../src/state/identity.ts';
import { bytesOf, claimsFor, makeReconciler, requestBody, url } from './tokens.ts';

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'keyturn-jwks-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const env = (): NodeJS.ProcessEnv => ({ PATH: process.env.PATH, HOME: folder, NO_COLOR: '1' });
const keyturn = (...args: string[]) =>
  spawnSync(process.execPath, [cli, ...args], { cwd: folder, env: env(), encoding: 'utf8' });

describe('keyturn jwks', () => {
  test('prints whom the identity trusts, and no private part', async () => {
    keyturn('keygen', '--out', 'identity', '--name', 'ci-1');
    const other = makeReconciler('admin-1');
    const bundle = readFileSync(join(folder, 'identity'), 'utf8');
    writeFileSync(join(folder, 'identity'), `${bundle}KEYTURN-TRUST-1 admin-1 ${other.publicBase64}\n`, {
      mode: 0o600,
    });
    const { status, stdout } = keyturn('jwks', '--identity', 'identity');
    expect(status).toBe(0);
    const { keys } = JSON.parse(stdout);
    expect(keys.map((key: { kid: string }) => key.kid).sort()).toEqual(['admin-1', 'ci-1']);
    expect(keys).toContainEqual(other.keys.keys[0]);
    expect(stdout).not.toContain('"d"');
    const only = JSON.parse(keyturn('jwks', '--identity', 'identity', '--kid', 'ci-1').stdout);
    expect(only.keys).toHaveLength(1);
    expect(keyturn('jwks', '--identity', 'identity', '--kid', 'x').stderr).toContain(
      'it trusts ci-1, admin-1',
    );
  });

  test('has nothing to print for a reader', () => {
    keyturn('keygen', '--out', 'reader', '--reader');
    expect(keyturn('jwks', '--identity', 'reader')).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringContaining('holds no signing key and trusts none'),
    });
  });
});

describe('keyturn rotator serve-validation', () => {
  test('tells a rotator of another platform who sent its request, until it is stopped', async () => {
    keyturn('keygen', '--out', 'server', '--name', 'ci-1');
    const jwks = keyturn('jwks', '--identity', 'server').stdout;
    writeFileSync(join(folder, 'jwks.json'), jwks);
    const { signer } = await parseIdentity(readFileSync(join(folder, 'server'), 'utf8'), 'server');
    if (!signer) throw new Error('no signer');
    const child = spawn(
      process.execPath,
      [
        cli,
        'rotator',
        'serve-validation',
        '--jwks',
        'jwks.json',
        '--audience',
        url,
        '--listen',
        '127.0.0.1:0',
      ],
      { cwd: folder, env: env(), stdio: ['ignore', 'ignore', 'pipe'] },
    );
    try {
      let words = '';
      const at = await new Promise<string>((ready, failed) => {
        child.once('exit', () => failed(new Error(words)));
        child.stderr.setEncoding('utf8').on('data', (text: string) => {
          words += text;
          const [found] = /http:\S+/.exec(words) ?? [];
          if (found) ready(found);
        });
      });
      const ask = async (question: unknown): Promise<{ status: number; body: unknown }> => {
        const answer = await fetch(at, { method: 'POST', body: JSON.stringify(question) });
        return { status: answer.status, body: await answer.json() };
      };
      const iat = Math.floor(Date.now() / 1000);
      const claims = claimsFor(bytesOf(requestBody()), { iat, exp: iat + 120 });
      const creds = signer.token(claims).reveal();
      const { jti, body_sha256 } = claims;
      const valid = {
        status: 200,
        body: { access_id: 'acme-secrets', item_name: '/prod/reporting', jti, body_sha256 },
      };
      expect(
        await ask({ creds, expected_access_id: 'acme-secrets', expected_item_name: '/prod/reporting' }),
      ).toEqual(valid);
      expect(await ask({ creds })).toEqual(valid);
      const unauthorized = { status: 401, body: { error: 'unauthorized' } };
      const stranger = makeReconciler().signer.token(claims).reveal();
      for (const question of [
        { creds, expected_access_id: 'other' },
        { creds, expected_item_name: '/prod/other' },
        { creds: stranger },
        { creds: signer.token({ ...claims, aud: 'https://other.example' }).reveal() },
        { creds: signer.token({ ...claims, iat: iat - 900, exp: iat - 800 }).reveal() },
      ])
        expect(await ask(question)).toEqual(unauthorized);
      expect((await ask({})).status).toBe(400);
      expect((await fetch(new URL('/', at))).status).toBe(404);
      const ended = new Promise((done) => child.once('exit', done));
      child.kill('SIGTERM');
      expect(await ended).toBe(0);
      expect(words).not.toContain(creds);
    } finally {
      child.kill('SIGKILL');
    }
  });

  test.each([
    [['--listen', '0.0.0.0:0'], 'would take tokens in clear text from the network'],
    [['--listen', 'here'], 'is no place to listen at'],
    [['--cert', 'x'], 'needs --cert and --key together'],
  ])('refuses %j', (options, what) => {
    const { keys } = makeReconciler();
    writeFileSync(join(folder, 'keys.json'), JSON.stringify(keys));
    expect(
      keyturn('rotator', 'serve-validation', '--jwks', 'keys.json', '--audience', url, ...options),
    ).toMatchObject({ status: 1, stderr: expect.stringContaining(what) });
  });
});
