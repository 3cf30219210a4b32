/** As whom keyturn acts at AWS: a token of GitHub, a profile, a session, a role beyond; through the real command line. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createWorld, type Machine, type Run, type World } from '../crash/world.ts';
import { type AwsProxy, startAwsProxy } from '../servers/aws-proxy.ts';
import { startWebSts, type WebSts } from '../servers/aws-sts.ts';
import { isMotoMissing, type Moto, startMoto } from '../servers/moto.ts';

const allow = (...Action: string[]) => ({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action, Resource: '*' }],
});
const keys = ['List', 'Create', 'Update', 'Delete'].map(
  (verb) => `iam:${verb}AccessKey${verb === 'List' ? 's' : ''}`,
);
const subject = 'repo:acme/secrets:environment:keyturn';

describe.skipIf(isMotoMissing())('at AWS a job acts', () => {
  let moto: Moto;
  let proxy: AwsProxy;
  let sts: WebSts;
  let world: World;
  let a: Machine;
  let jobRole = '';
  let keysRole = '';
  let user = '';
  let users = 0;
  beforeAll(async () => {
    moto = await startMoto();
    proxy = await startAwsProxy(moto.port);
    jobRole = await moto.createRole('keyturn-job', allow('sts:AssumeRole'));
    keysRole = await moto.createRole('keyturn-keys', allow(...keys, 'iam:GetAccessKeyLastUsed'));
    sts = await startWebSts(moto, { roleArn: jobRole, subject });
    proxy.trust.set(keysRole, 'aws-oidc');
  }, 60_000);
  afterAll(async () => {
    await sts?.stop();
    await proxy?.stop();
    await moto?.stop();
  });
  beforeEach(async () => {
    users += 1;
    user = `user-${users}`;
    await moto.createUser(user);
  });
  afterEach(() => world?.remove());

  const started = async (spec: string): Promise<void> => {
    world = await createWorld({
      'manifests/aws.yaml': `apiVersion: keyturn/v1
kind: Target
metadata: { name: aws }
spec:
  type: aws
  accountId: "123456789012"
  endpoint: ${proxy.url}
  tls: { mode: disable }
${spec}
---
apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: key }
spec: { target: aws, authenticateAs: target, account: { username: ${user} } }
`,
    });
    a = world.machine('a');
  };
  const role = (externalId = 'aws-oidc') => `  assumeRole: { arn: ${keysRole}, externalId: ${externalId} }`;
  /** As the workflow of examples/aws-oidc sets it. */
  const github = async (claims?: Parameters<WebSts['token']>[0]): Promise<NodeJS.ProcessEnv> => {
    const file = world.at('aws-token');
    const token = await sts.token(claims);
    writeFileSync(file, token, { mode: 0o600 });
    world.canary.learn('the token', token);
    return { AWS_ROLE_ARN: jobRole, AWS_WEB_IDENTITY_TOKEN_FILE: file, AWS_ENDPOINT_URL_STS: sts.url };
  };
  const apply = (env: NodeJS.ProcessEnv): Promise<Run> => world.run(a, ['apply', '--yes'], { env });
  const made = async (): Promise<void> => {
    const [key] = await moto.keys(user);
    const { stdout } = await world.ask(a, ['get', 'key', '--field', 'accessKeyId']);
    expect(stdout.trim()).toBe(key?.id);
    const home = { repositories: [world.remote], folders: [world.at('tmp'), a.env.HOME ?? ''], logs: [] };
    expect(world.canary.findings(home)).toEqual([]);
  };

  it("in a role, let in by GitHub's token", async () => {
    await started(role());
    const env = await github();
    const run = await apply(env);
    expect(run.code, run.stderr).toBe(0);
    expect(sts.exchanged).toBeGreaterThan(0);
    await made();
    const doctor = await world.run(a, ['doctor'], { env });
    expect([doctor.code, doctor.stderr]).toEqual([0, '']);
    expect(doctor.stdout).toContain('assumed-role/keyturn-keys/keyturn');
    expect(doctor.stdout).toContain(`"Action":["sts:AssumeRole"],"Resource":"${keysRole}"`);
  }, 60_000);

  it.each([
    ['another repository', { subject: 'repo:mallory/secrets:environment:keyturn' }, 'AccessDenied'],
    ['another audience', { audience: 'https://github.com/acme' }, 'InvalidIdentityToken'],
    ['another hour', { expires: '-1h' }, 'ExpiredToken'],
  ])(
    'not at all with a token of %s, and says so',
    async (_, claims, code) => {
      await started(role());
      const run = await apply(await github(claims));
      expect(run.code, run.stderr).toBe(3);
      expect(run.stderr).toContain(`what the environment signs with gives no session (${code}`);
      expect(run.stderr).toContain("compare the role's trust policy with the token of this job");
      expect(await moto.keys(user)).toEqual([]);
    },
    60_000,
  );

  it('in no role whose external id is another', async () => {
    await started(role('somebody-else'));
    const env = await github();
    const run = await apply(env);
    expect(run.code, run.stderr).toBe(3);
    expect(run.stderr).toContain(`the role ${keysRole} may not be assumed`);
    expect(run.stderr).toContain(`allow sts:AssumeRole on ${keysRole}`);
    const doctor = await world.run(a, ['doctor'], { env });
    expect([doctor.code, doctor.stdout.includes(`fix: allow sts:AssumeRole on ${keysRole}`)]).toEqual([
      1,
      true,
    ]);
    expect(await moto.keys(user)).toEqual([]);
  }, 60_000);

  it('with the session that configure-aws-credentials leaves in the environment', async () => {
    await started('');
    const { AssumeRoleCommand, STSClient } = await import('@aws-sdk/client-sts');
    const client = new STSClient({ endpoint: moto.url, region: 'us-east-1', credentials: moto.admin });
    const command = new AssumeRoleCommand({ RoleArn: keysRole, RoleSessionName: 'GitHubActions' });
    const { Credentials: session } = await client.send(command);
    client.destroy();
    const run = await apply({
      AWS_ACCESS_KEY_ID: session?.AccessKeyId,
      AWS_SECRET_ACCESS_KEY: session?.SecretAccessKey,
      AWS_SESSION_TOKEN: session?.SessionToken,
    });
    expect(run.code, run.stderr).toBe(0);
    await made();
  }, 60_000);

  it('with a profile, which is not what the environment says', async () => {
    await started('  profile: ops');
    mkdirSync(join(a.env.HOME ?? '', '.aws'));
    const { accessKeyId, secretAccessKey } = moto.admin;
    const profile = (name: string) =>
      `[${name}]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`;
    const file = join(a.env.HOME ?? '', '.aws', 'credentials');
    writeFileSync(file, profile('dev'), { mode: 0o600 });
    const env = { AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE', AWS_SECRET_ACCESS_KEY: 'not-the-one' };
    const missing = await apply(env);
    expect(missing.code, missing.stderr).toBe(3);
    expect(missing.stderr).toContain('nothing to sign with was found');
    expect(missing.stderr).toContain('give this job AWS credentials');
    writeFileSync(file, profile('ops'), { mode: 0o600 });
    const run = await world.run(a, ['apply', '--yes', '--force'], { env, offset: 25 * 3_600_000 });
    expect(run.code, run.stderr).toBe(0);
    await made();
  }, 60_000);
});
