import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadManifests } from '../../src/manifests/load.ts';
import { desired, join, manifest, mysql, project, said, secret } from './fixtures.ts';

const day = 86_400_000;
const aws = (more = '') => manifest('Target', 'aws', `type: aws\naccountId: "123456789012"\n${more}`);
const key = (more = '', name = 'deployer') =>
  manifest(
    'RotatedSecret',
    name,
    `target: aws\nauthenticateAs: target\naccount: { username: ${name} }\n${more}`,
  );

describe('a target of type aws', () => {
  it('needs its account alone, and takes credentials from the environment', async () => {
    const { targets } = await desired(join(aws(), key()));
    expect(targets.get('aws')).toMatchObject({
      type: 'aws',
      host: 'iam.amazonaws.com',
      port: 443,
      credentials: undefined,
      aws: { accountId: '123456789012', region: 'us-east-1', partition: 'aws', assumeRole: undefined },
    });
  });

  it('is bound to its partition or endpoint', async () => {
    const at = async (more: string) => (await desired(aws(more))).targets.get('aws');
    expect(await at('partition: aws-cn')).toMatchObject({ host: 'iam.cn-north-1.amazonaws.com.cn' });
    expect(await at('endpoint: https://aws.test:8443')).toMatchObject({ host: 'aws.test', port: 8443 });
    expect(await at('assumeRole: { arn: arn:aws:iam::123456789012:role/x }')).toMatchObject({
      aws: { assumeRole: { sessionName: 'keyturn', externalId: undefined } },
    });
  });

  it('says what its credentials lack', async () => {
    expect(await said(aws('credentials: { secretAccessKey: { env: AWS } }'))).toEqual([
      'aws: spec.credentials lacks accessKeyId | add the id of the access key: it is not secret',
    ]);
    expect(await said(aws('endpoint: http://127.0.0.1:5000'))).toEqual([
      'aws: spec.endpoint is plain http, and AWS answers with new secrets | write https://, or tls: { mode: disable } where nobody can listen',
    ]);
    expect(await said(manifest('Target', 'aws', 'type: aws'))).toHaveLength(1);
    expect(await said(aws('host: x'))).toHaveLength(1);
  });
});

describe('an access key', () => {
  it('has defaults of its own', async () => {
    const { secrets } = await desired(join(aws(), key()));
    expect(secrets.get('deployer')).toMatchObject({
      rotator: 'api-key',
      keys: {
        graceful: false,
        exclusive: false,
        deleteAfter: 7 * day,
        stillInUseWindow: day,
        stillInUse: 'warn',
      },
    });
  });

  it('is adopted with both of its parts', async () => {
    const { secrets } = await desired(
      join(aws(), key('initial: { accessKeyId: AKIAIOSFODNN7EXAMPLE, secretAccessKey: { env: KEY } }')),
    );
    expect(secrets.get('deployer')?.initial).toEqual({
      password: { env: 'KEY' },
      username: undefined,
      handle: 'AKIAIOSFODNN7EXAMPLE',
    });
    expect(await said(join(aws(), key('initial: { secretAccessKey: { env: KEY } }')))).toHaveLength(1);
    expect(await said(join(aws(), key('initial: { password: { env: KEY } }')))).toEqual([
      'deployer: spec.initial lacks secretAccessKey | add secretAccessKey: the secret part of the existing access key, by reference',
    ]);
  });

  it('of the target itself is named by it', async () => {
    const own = aws('credentials: { username: ci, secretAccessKey: { secret: ci } }');
    const { secrets } = await desired(
      join(own, manifest('RotatedSecret', 'ci', 'target: aws\nrotator: target')),
    );
    expect(secrets.get('ci')?.account.usernames).toEqual(['ci']);
  });

  it('is not what a database has, and the other way round', async () => {
    expect(await said(join(aws(), key('rotator: password')))).toEqual([
      'deployer: an IAM user has access keys, no password to rotate | write rotator: api-key',
    ]);
    expect(await said(join(mysql(), secret('app', 'graceful: true\nrotator: api-key')))).toEqual([
      'app: spec.graceful does not exist in mysql | remove it: only access keys have it',
      'app: mysql has no access keys | write rotator: password',
    ]);
    expect(await said(join(aws(), key('graceful: true\ngrace: 1d')))).toEqual([
      'deployer: graceful keeps the former key until the next rotation | remove grace, or graceful',
    ]);
  });

  it('cannot be blind', async () => {
    const no = 'deployer: a key that AWS makes cannot be blind';
    const hint = 'remove blind: it is proven, and retired, with what keyturn can read';
    expect(await said(join(aws(), key('blind: true')))).toContain(`${no} | ${hint}`);
    const own = key('blind: true').replace('authenticateAs: target', 'authenticateAs: user');
    expect(await said(join(aws(), own))).toContain(`${no} | ${hint}`);
  });

  it('that is graceful takes no grace from the defaults', async () => {
    const { secrets } = await desired(join(aws(), key('graceful: true')), {
      project: project('defaults: { grace: 2d }'),
    });
    expect(secrets.get('deployer')?.grace).toBe(0);
  });

  it('of one user belongs to one secret, whatever the account', async () => {
    const other = manifest('Target', 'other', 'type: aws\naccountId: "210987654321"');
    const there = manifest(
      'RotatedSecret',
      'there',
      'target: other\nauthenticateAs: target\naccount: { username: deployer }',
    );
    expect(await said(join(aws(), other, key(), there))).toEqual([]);
    expect(await said(join(aws(), key(), there.replace('other', 'aws')))).toHaveLength(1);
  });
});

it('examples/aws-oidc loads, and its policy is the least', async () => {
  const root = fileURLToPath(new URL('../../examples/aws-oidc/', import.meta.url));
  const { targets, secrets } = await loadManifests(root, { env: {} });
  expect([...targets.keys()]).toEqual(['prod/aws']);
  expect([...secrets.values()].map(({ keys }) => keys?.graceful)).toEqual([false, true]);
  const readme = await readFile(`${root}README.md`, 'utf8');
  const [, json = ''] = /```json\n([\s\S]*?)```/.exec(readme) ?? [];
  const { actions } = await import('../../src/targets/aws/policy.ts');
  expect(JSON.parse(json).Statement[0].Action).toEqual(actions);
});
