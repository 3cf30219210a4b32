import { put, type World } from '../crash/world.ts';
import { type AwsProxy, startAwsProxy } from '../servers/aws-proxy.ts';
import type { Moto } from '../servers/moto.ts';
import { initial, type Member, manifest, type Part } from './part.ts';

/** Keys with grace, graceful ones, and those of a user that manages itself. */
export async function aws(world: World, moto: Moto): Promise<Part> {
  const proxy = await startAwsProxy(moto.port);
  proxy.flap = [true, false, true];
  const { accessKeyId, secretAccessKey } = moto.admin;
  world.canary.learn("the AWS administrator's key", secretAccessKey);
  put(world.at('initial', 'aws-admin'), secretAccessKey, 0o600);
  const manifests = [
    manifest(
      'Target',
      'aws',
      `  type: aws\n  accountId: "${moto.accountId}"\n  endpoint: ${proxy.url}\n  tls: { mode: disable }\n  credentials: { accessKeyId: ${accessKeyId}, secretAccessKey: { file: ${world.at('initial', 'aws-admin')} } }`,
    ),
  ];
  const members: Member[] = [];
  for (const [name, spec] of [
    ['grace', 'authenticateAs: target\n  grace: 1h\n  deleteAfter: 1d'],
    ['graceful', 'authenticateAs: target\n  graceful: true'],
    ['self', 'authenticateAs: user\n  grace: 1h\n  deleteAfter: 1d'],
  ] as const) {
    const user = `so-${name}`;
    const all = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: ['iam:*'], Resource: '*' }] };
    await moto.createUser(user, name === 'self' ? all : undefined);
    let given = '';
    if (name === 'self') {
      const first = await moto.createKey(user);
      given = `\n  initial: { accessKeyId: ${first.accessKeyId}, secretAccessKey: { file: ${initial(world, 'aws-self', first.secretAccessKey)} } }`;
    }
    manifests.push(
      manifest(
        'RotatedSecret',
        `aws/${name}`,
        `  target: aws\n  ${spec}\n  account: { username: ${user} }\n  schedule: { every: 300d }${given}`,
      ),
    );
    members.push({
      secret: `aws/${name}`,
      overlap: true,
      accepts: ({ handle, value }) => callerIs(proxy, user, handle ?? '', value),
      strays: async (record) => {
        const known = new Set(Object.values(record.versions).map((version) => version.handle));
        return (await moto.keys(user)).flatMap(({ id }) =>
          known.has(id) ? [] : [`an orphan of ${user}: ${id}`],
        );
      },
    });
  }
  return {
    server: 'moto (AWS)',
    members,
    manifests: { 'manifests/aws.yaml': manifests.join('---\n') },
    stop: async () => {
      await proxy.stop();
      await moto.stop();
    },
  };
}

/** New keys flap: several tries. */
async function callerIs(proxy: AwsProxy, user: string, accessKeyId: string, value: string): Promise<boolean> {
  const { GetCallerIdentityCommand, STSClient } = await import('@aws-sdk/client-sts');
  const sts = new STSClient({
    endpoint: proxy.url,
    region: 'us-east-1',
    credentials: { accessKeyId, secretAccessKey: value },
  });
  try {
    for (const _ of [1, 2, 3, 4]) {
      const arn = await sts.send(new GetCallerIdentityCommand({})).then(
        ({ Arn = '' }) => Arn,
        () => '',
      );
      if (arn.endsWith(`/${user}`)) return true;
    }
    return false;
  } finally {
    sts.destroy();
  }
}
