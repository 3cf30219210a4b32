/**
 * The least that rotating passwords of Linux accounts over SSH could be: keyturn's logins and commands in number and
 * kind, over one kept connection of the administrator for each rotation that goes on at a time, and what must be pushed.
 */
import { randomBytes } from 'node:crypto';
import { connect as dial } from 'node:net';
import pLimit from 'p-limit';
import ssh2 from 'ssh2';
import { given, pushing, waves } from './job.ts';

const { host, port, admin, accounts, concurrency, remote, folder } = given<{
  host: string;
  port: number;
  admin: { user: string; password: string };
  accounts: [user: string, password: string][];
}>();
const push = pushing(folder, remote);

type Client = InstanceType<typeof ssh2.Client>;

function login(username: string, password: string): Promise<Client> {
  const client = new ssh2.Client();
  return new Promise((resolve, reject) => {
    client.once('ready', () => resolve(client));
    client.once('error', reject);
    client.connect({
      sock: dial({ host, port, noDelay: true }),
      username,
      password,
      authHandler: ['password'],
    });
  });
}

function exec(client: Client, command: string, input = ''): Promise<void> {
  return new Promise((resolve, reject) => {
    client.exec(command, (error, channel) => {
      if (error) return reject(error);
      channel.resume();
      channel.stderr.resume();
      channel.once('close', (code: number) =>
        code === 0 ? resolve() : reject(new Error(`${command} ended with ${code}`)),
      );
      channel.end(input);
    });
  });
}

async function verify(user: string, password: string): Promise<void> {
  const client = await login(user, password);
  await exec(client, 'exit 0');
  client.destroy();
}

const idle: Client[] = [];
const limit = pLimit(concurrency);

const asAdmin = (work: (client: Client) => Promise<void>): Promise<void> =>
  limit(async () => {
    const client = idle.pop() ?? (await login(admin.user, admin.password));
    await work(client);
    idle.push(client);
  });

const fresh: [string, string][] = [];
for (const wave of waves(accounts)) {
  await Promise.all(
    wave.map(([user, password]) =>
      asAdmin(async (client) => {
        await exec(client, 'sudo -n sh', 'id -u\n');
        await exec(client, 'sudo -n sh', `id ${user}; grep '^${user}:' /etc/shadow\n`);
        await verify(user, password);
      }),
    ),
  );
  await push(wave.map(([user]) => user));
  await Promise.all(
    wave.map(([user]) =>
      asAdmin(async (client) => {
        const password = randomBytes(24).toString('base64url');
        await exec(client, 'sudo -n chpasswd', `${user}:${password}\n`);
        await verify(user, password);
        fresh.push([user, password]);
      }),
    ),
  );
}
await push([]);
process.stdout.write(JSON.stringify(fresh));
process.exit(0);
