/** The bundled action in a job that holds no AWS key: GitHub's token, the role that lets it in, a new access key. */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createWorld, type Machine, type World } from '../crash/world.ts';
import { startWebSts, type WebSts } from '../servers/aws-sts.ts';
import { type Github, startGithub } from '../servers/github.ts';
import { isMotoMissing, type Moto, startMoto } from '../servers/moto.ts';
import { runnerEnv } from './pull.ts';
import { buildBundle, type Ended, inputsOf, runStep } from './runner.ts';

describe.skipIf(isMotoMissing())('at AWS the action acts', () => {
  const bundle = buildBundle();
  let moto: Moto;
  let sts: WebSts;
  let github: Github;
  let world: World;
  let machine: Machine;
  let role = '';
  const asked: string[] = [];
  const issuer = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://127.0.0.1');
    asked.push(`${request.headers.authorization} ${url.searchParams.get('audience')}`);
    void sts
      .token({ audience: url.searchParams.get('audience') ?? '' })
      .then((value) => response.end(JSON.stringify({ count: 1, value })));
  });

  beforeAll(async () => {
    moto = await startMoto();
    role = await moto.createRole('keyturn-job', {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: ['iam:*'], Resource: '*' }],
    });
    sts = await startWebSts(moto, { roleArn: role, subject: 'repo:acme/secrets:environment:keyturn' });
    github = await startGithub();
    await new Promise<void>((ready) => issuer.listen(0, '127.0.0.1', ready));
    await moto.createUser('deployer');
    world = await createWorld({
      'manifests/aws.yaml': `apiVersion: keyturn/v1
kind: Target
metadata: { name: aws }
spec:
  type: aws
  accountId: "123456789012"
  endpoint: ${moto.url}
  tls: { mode: disable }
---
apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: key }
spec: { target: aws, authenticateAs: target, account: { username: deployer } }
`,
    });
    machine = world.machine('a');
    mkdirSync(world.at('runner-temp'));
  }, 90_000);
  afterAll(async () => {
    issuer.closeAllConnections();
    issuer.close();
    await sts?.stop();
    await moto?.stop();
    await github?.stop();
    world?.remove();
    bundle.remove();
  });

  const step = (command: string, env: NodeJS.ProcessEnv = {}): Promise<Ended> =>
    runStep({
      command: process.execPath,
      args: [bundle.main],
      cwd: machine.clone,
      env: {
        ...runnerEnv(world, github, machine.clone),
        GITHUB_EVENT_NAME: 'schedule',
        GITHUB_REF: 'refs/heads/main',
        RUNNER_TEMP: world.at('runner-temp'),
        AWS_ROLE_ARN: role,
        AWS_ENDPOINT_URL_STS: sts.url,
        ACTIONS_ID_TOKEN_REQUEST_URL: `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/?v=2`,
        ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'request-token',
        ...inputsOf({ command, identity: readFileSync(world.identity, 'utf8') }, { token: 'job-token' }),
        ...env,
      },
    });

  test('with the token that GitHub gives the job, and leaves none behind', async () => {
    const ended = await step('apply');
    expect(ended.code, ended.log).toBe(0);
    expect(ended.outputs).toMatchObject({ rotated: 'key', failed: '' });
    expect(asked).toEqual(['bearer request-token sts.amazonaws.com']);
    expect(await moto.keys('deployer')).toHaveLength(1);
    expect(readdirSync(world.at('runner-temp'))).toEqual([]);
    const verified = await step('verify');
    expect(verified, verified.log).toMatchObject({ code: 0, outputs: { failed: '' } });
    expect(sts.exchanged).toBeGreaterThan(0);
  });

  test('not without the permission to ask for it, and says so', async () => {
    const count = asked.length;
    await moto.createUser('other');
    world.commit(machine, {
      'manifests/other.yaml': `apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: other }
spec: { target: aws, authenticateAs: target, account: { username: other } }
`,
    });
    const ended = await step('apply', {
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: '',
      AWS_EC2_METADATA_DISABLED: 'true',
    });
    expect(ended.code).not.toBe(0);
    expect(ended.outputs.failed).toBe('other');
    expect(asked).toHaveLength(count);
    expect(await moto.keys('other')).toEqual([]);
  });
});
