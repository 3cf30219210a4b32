import { isMotoInstalled, startMoto } from '../test/servers/moto.ts';
import { bareLoop } from './bare/run.ts';
import { leftOut } from './left-out.ts';
import { compare, type Row } from './measure.ts';
import { makeProject } from './project.ts';

const count = 64;
const concurrency = 4;
const user = (n: number): string => `bench_${n}`;
const name = (n: number): string => `bench/group-${n % 10}/account-${n}`;

/** As many as there are, each with two keys, of which a rotation replaces the older. */
const manifest = (n: number): string => `apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: ${name(n)} }
spec:
  target: bench
  authenticateAs: target
  account: { username: ${user(n)} }
  graceful: true
  keep: 5
`;

/** Rotations of the access keys of 64 IAM users against a bare loop. */
export async function awsRotations(scratch: string): Promise<Row[]> {
  if (!isMotoInstalled()) return leftOut('aws', 'moto is not installed');
  const moto = await startMoto();
  try {
    const own = Array.from({ length: count }, (_, n) => n);
    const others = own.map((n) => user(count + n));
    for (const one of [...own.map(user), ...others]) await moto.createUser(one);
    for (const one of [...others, ...others]) await moto.createKey(one);
    const project = await makeProject(scratch, {
      'manifests/target.yaml': `apiVersion: keyturn/v1
kind: Target
metadata: { name: bench }
spec:
  type: aws
  accountId: "${moto.accountId}"
  endpoint: ${moto.url}
  tls: { mode: disable }
  concurrency: ${concurrency}
  credentials: { accessKeyId: ${moto.admin.accessKeyId}, secretAccessKey: { env: AWS_ADMIN } }
`,
      ...Object.fromEntries(own.map((n) => [`manifests/secrets/account-${n}.yaml`, manifest(n)])),
    });
    project.env.AWS_ADMIN = moto.admin.secretAccessKey;
    const rotate = () => project.keyturn('rotate', ...own.map(name), '--force');
    await project.keyturn('apply', '--force');
    await rotate();
    const job = {
      ...{ endpoint: moto.url, admin: moto.admin, concurrency },
      ...{ folder: project.folder, remote: project.remote },
    };
    const row = await compare(
      {
        what: `rotate the keys of ${count} AWS users`,
        against: 'bare AWS SDK loop, waits and pushes, on moto',
        budget: null,
      },
      3,
      () => bareLoop('aws', job, new Map(others.map((one) => [one, ''])), count),
      rotate,
    );
    return [row];
  } finally {
    await moto.stop();
  }
}
