/**
 * The least that rotating access keys of AWS users could be: keyturn's calls, as the server sees them, at the same
 * concurrency, the same pauses between the logins that prove a key, and what must be pushed before and after each call
 * that cannot be taken back. No manifests, no encryption, no signatures, no state.
 */
import { setTimeout } from 'node:timers/promises';
import {
  CreateAccessKeyCommand,
  DeleteAccessKeyCommand,
  GetAccessKeyLastUsedCommand,
  IAMClient,
  ListAccessKeysCommand,
  UpdateAccessKeyCommand,
} from '@aws-sdk/client-iam';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import pLimit from 'p-limit';
import { given, pushing, waves } from './job.ts';

interface Pair {
  accessKeyId: string;
  secretAccessKey: string;
}

const { endpoint, admin, accounts, concurrency, remote, folder } = given<{
  endpoint: string;
  admin: Pair;
  /** User names; what they hold is listed. */
  accounts: [user: string, nothing: string][];
}>();
const settings = { endpoint, region: 'us-east-1', maxAttempts: 1 };
const iam = new IAMClient({ ...settings, credentials: admin });
const sts = new STSClient({ ...settings, credentials: admin });

const push = pushing(folder, remote);
const state = (records: number): number => 1000 + 400 * records;

/** What rotations have to say meanwhile goes into the next push: one goes on at a time. Of a value that is there a file. */
let waiting: { user: string; made: boolean }[] = [];
let turn = Promise.resolve();
function pushSoon(user: string, made: boolean): Promise<void> {
  waiting.push({ user, made });
  turn = turn.then(async () => {
    const all = waiting;
    waiting = [];
    const values = all.filter((one) => one.made).map((one) => one.user);
    if (all.length > 0) await push(values, { value: 1066, state: state(all.length) });
  });
  return turn;
}

/** A login with a connection of its own. */
async function login(credentials: Pair): Promise<void> {
  const client = new STSClient({ ...settings, credentials });
  await client.send(new GetCallerIdentityCommand({}));
  client.destroy();
}

const list = async (UserName: string) =>
  (await iam.send(new ListAccessKeysCommand({ UserName }))).AccessKeyMetadata ?? [];

const limit = pLimit(concurrency);

async function replace(UserName: string): Promise<Pair> {
  const [older] = (await list(UserName)).toSorted((a, b) => Number(a.CreateDate) - Number(b.CreateDate));
  const AccessKeyId = older?.AccessKeyId ?? '';
  await iam.send(new GetAccessKeyLastUsedCommand({ AccessKeyId }));
  await pushSoon(UserName, false);
  await iam.send(new UpdateAccessKeyCommand({ UserName, AccessKeyId, Status: 'Inactive' }));
  await iam.send(new DeleteAccessKeyCommand({ UserName, AccessKeyId }));
  await list(UserName);
  const { AccessKey: made } = await iam.send(new CreateAccessKeyCommand({ UserName }));
  await pushSoon(UserName, true);
  return { accessKeyId: made?.AccessKeyId ?? '', secretAccessKey: made?.SecretAccessKey ?? '' };
}

let promoted: string[] = [];
for (const wave of waves(accounts.map(([user]) => user))) {
  await Promise.all(
    wave.map((user) =>
      limit(async () => {
        await sts.send(new GetCallerIdentityCommand({}));
        await list(user);
      }),
    ),
  );
  await push(promoted, { value: 10, state: state(promoted.length + wave.length) });
  await Promise.all(
    wave.map(async (user) => {
      const made = await limit(async () => {
        const pair = await replace(user);
        await login(pair);
        return pair;
      });
      for (let proofs = 1; proofs < 3; proofs++) {
        await setTimeout(2_000);
        await limit(() => login(made));
      }
    }),
  );
  promoted = wave;
}
await push(promoted, { value: 10, state: state(promoted.length) });
process.stdout.write('[]');
process.exit(0);
