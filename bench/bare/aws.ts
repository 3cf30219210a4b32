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

/** Rotations that push together: of those that go on at a time it is as many as keyturn's pushes hold on the whole. */
const together = 4;
let turn = Promise.resolve();
function inTurn(users: readonly string[], records: number): Promise<void> {
  turn = turn.then(() => push(users, { value: 1066, state: state(records) }));
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

async function olderOf(UserName: string): Promise<{ UserName: string; AccessKeyId: string }> {
  const [older] = (await list(UserName)).toSorted((a, b) => Number(a.CreateDate) - Number(b.CreateDate));
  const AccessKeyId = older?.AccessKeyId ?? '';
  await iam.send(new GetAccessKeyLastUsedCommand({ AccessKeyId }));
  return { UserName, AccessKeyId };
}

async function replace(older: { UserName: string; AccessKeyId: string }): Promise<Pair> {
  const { UserName } = older;
  await iam.send(new UpdateAccessKeyCommand({ ...older, Status: 'Inactive' }));
  await iam.send(new DeleteAccessKeyCommand(older));
  await list(UserName);
  const { AccessKey: made } = await iam.send(new CreateAccessKeyCommand({ UserName }));
  return { accessKeyId: made?.AccessKeyId ?? '', secretAccessKey: made?.SecretAccessKey ?? '' };
}

async function replaceAll(users: readonly string[]): Promise<Pair[]> {
  const older = await Promise.all(users.map(olderOf));
  await inTurn([], users.length);
  const made = await Promise.all(older.map(replace));
  await inTurn(users, users.length);
  await Promise.all(made.map(login));
  return made;
}

async function proveAgain(made: readonly Pair[]): Promise<void> {
  for (let proofs = 1; proofs < 3; proofs++) {
    await setTimeout(2_000);
    await Promise.all(made.map((pair) => limit(() => login(pair))));
  }
}

const limit = pLimit(concurrency);
const limitOfGroups = pLimit(concurrency / together);

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
  const groups = Array.from({ length: Math.ceil(wave.length / together) }, (_, n) =>
    wave.slice(n * together, (n + 1) * together),
  );
  await Promise.all(groups.map(async (users) => proveAgain(await limitOfGroups(() => replaceAll(users)))));
  promoted = wave;
}
await push(promoted, { value: 10, state: state(promoted.length) });
process.stdout.write('[]');
process.exit(0);
