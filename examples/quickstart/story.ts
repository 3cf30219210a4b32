/** This folder's manifests against real servers and a real git remote, every command for real. `run.ts` starts it. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DemoServer, demoGuestbook, demoMariadb, demoPostgres } from './servers.ts';
import { Stage } from './stage.ts';

/** Throws when a step did not end as it should. */
function must(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise);
}

const shop = 'demo/postgresql/shop';
const reports = 'demo/postgresql/reports';
const mailer = 'demo/guestbook/mailer';

/** What makes the certificate of the rotator. */
function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

async function story(
  stage: Stage,
  postgres: DemoServer,
  mariadb: DemoServer | undefined,
  servers: DemoServer[],
): Promise<void> {
  /** Everything that was ever a password here. */
  const passwords = new Set(['shop-by-hand-1', 'reports-by-hand-1', 'mailer-by-hand-1']);
  const initial = { ...postgres.initial, ...mariadb?.initial };
  const keyturn = async (args: string[], expected = 0): Promise<string> => {
    const { code, stdout } = await stage.keyturn(args, initial);
    must(code === expected, `keyturn ${args[0]} ended with ${code} instead of ${expected}`);
    return stdout;
  };
  const get = async (name: string, ...options: string[]): Promise<{ username: string; password: string }> => {
    const login = JSON.parse(await keyturn(['get', name, '--format', 'json', ...options]));
    passwords.add(login.password);
    return login;
  };
  const attempt = async (
    server: DemoServer,
    username: string,
    password: string,
    expected: 'in' | 'refused',
  ): Promise<void> => {
    const answer = await server.login(username, password);
    stage.print(
      `  ${server.name}: ${username} with ${password}: ${answer === 'refused' ? 'refused' : 'logged in'}`,
    );
    must(
      (answer === 'refused') === (expected === 'refused'),
      `${server.name} gave ${username} the wrong answer`,
    );
  };

  stage.say('Identities: one for the job, one for an administrator who keeps it offline, one for the shop.');
  const identity = (name: string) => join(stage.home, name);
  const job = join(stage.home, '.config', 'keyturn', 'identity');
  await keyturn(['keygen', '--out', job, '--name', 'ci-1']);
  await keyturn(['keygen', '--out', identity('offline'), '--name', 'admin-1']);
  await keyturn(['keygen', '--out', identity('shop'), '--reader']);

  const web = hasOpenssl();
  stage.say(
    web
      ? 'An application with its own users gets a rotator, which knows the job by its public key.'
      : 'openssl is not installed, so there is no custom rotator.',
  );
  const guestbook = web ? await demoGuestbook(await keyturn(['jwks'])) : undefined;
  if (guestbook) {
    servers.push(guestbook);
    mkdirSync(join(stage.repo, 'certs'));
    writeFileSync(join(stage.repo, 'certs', 'rotator.pem'), guestbook.caPem);
    stage.print(`  its rotator is at ${guestbook.url}`);
  }

  stage.say(
    'The manifests of examples/quickstart, with these recipients and ports, are committed and pushed.',
  );
  const recipients = [job, identity('offline'), identity('shop')].map(stage.recipientOf);
  stage.commitManifests(
    [
      'keyturn.yaml',
      'manifests/roles/shop.yaml',
      ...['postgresql', ...(mariadb ? ['mariadb'] : []), ...(guestbook ? ['guestbook'] : [])].flatMap(
        (name) => [`manifests/targets/${name}.yaml`, `manifests/secrets/${name}.yaml`],
      ),
    ],
    (file, text) => {
      const filled = text
        .replaceAll('../../schemas', 'schemas')
        .replace('port: 5432', `port: ${postgres.port}`);
      const own = file.includes('roles') ? recipients.slice(2) : recipients.slice();
      return filled
        .replace('port: 3306', `port: ${mariadb?.port}`)
        .replace(
          'url: https://localhost:8443/',
          `url: ${guestbook?.url}\n  audience: ${guestbook?.audience}\n  tls: { ca: certs/rotator.pem }`,
        )
        .replaceAll(/\bage1[a-z0-9]{58}\b/g, () => own.shift() ?? '');
    },
  );
  await keyturn(['validate']);

  stage.say(
    'What would happen, and why. Passwords that only a person knew are adopted, the others replaced.',
  );
  await keyturn(['plan']);

  stage.say('Do it: claim pushed, password set, logged in with it, promotion pushed.');
  await keyturn(['apply']);

  stage.say(
    'Whoever has an identity reads the value (these servers are gone in a minute, so you may see it).',
  );
  const first = await get(shop);
  stage.say('The new password works; the one that the administrator once typed is dead.');
  await attempt(postgres, first.username, first.password, 'in');
  await attempt(postgres, first.username, 'shop-by-hand-1', 'refused');

  stage.say('The shop has an identity of its own: it reads its password and nobody else’s.');
  await keyturn(['get', shop, '--field', 'username', '--identity', identity('shop')]);
  await keyturn(['get', reports, '--identity', identity('shop')], 1);

  stage.say('A second apply finds nothing to do: no commit, no login.');
  const before = stage.git('rev-parse', 'origin/main');
  await keyturn(['apply']);
  must(stage.remoteTip() === before, 'the second apply pushed something');

  stage.say('A laptop is lost. Everything is rotated now, whatever the schedule says.');
  const names = [shop, reports, 'demo/postgresql/admin'];
  if (mariadb) names.push('demo/mariadb/app');
  if (guestbook) names.push(mailer);
  const old = await get(reports);
  const app = mariadb && (await get('demo/mariadb/app'));
  const mail = guestbook && (await get(mailer));
  await keyturn(['rotate', ...names, '--reason', 'laptop lost', '--force']);

  stage.say('reports has no grace: its old password is dead. The shop keeps the previous one for a day.');
  const fresh = await get(reports);
  const second = await get(shop);
  await attempt(postgres, 'reports', fresh.password, 'in');
  await attempt(postgres, 'reports', old.password, 'refused');
  await attempt(postgres, second.username, second.password, 'in');
  await attempt(postgres, first.username, first.password, 'in');
  if (mariadb && app) {
    const renewed = await get('demo/mariadb/app');
    await attempt(mariadb, 'app', renewed.password, 'in');
    await attempt(mariadb, 'app', app.password, 'in');
    await attempt(mariadb, 'app', 'app-by-hand-1', 'refused');
  }
  if (guestbook && mail) {
    const renewed = await get(mailer);
    await attempt(guestbook, 'mailer', renewed.password, 'in');
    await attempt(guestbook, 'mailer', mail.password, 'in');
    await attempt(guestbook, 'mailer', 'mailer-by-hand-1', 'refused');
  }
  await keyturn(['verify']);
  await keyturn(['history', shop]);

  stage.say('What git received: the manifests are yours, everything else is age ciphertext.');
  stage.print('$ git log --reverse --stat', '36');
  stage.print(stage.git('log', '--reverse', '--format=%n%h %an: %s', '--stat=72', 'origin/main').trim());
  stage.print(`$ git show main:values/${shop}/1.age | head -c 21`, '36');
  const header = stage.git('show', `origin/main:values/${shop}/1.age`).slice(0, 21);
  stage.print(header);
  must(header === 'age-encryption.org/v1', 'a value is not an age file');
  const pushed = stage.everythingPushed();
  for (const password of passwords) must(!pushed.includes(password), 'a password is in git');
  stage.print(
    `${passwords.size} passwords, old and new, looked for in every object of the remote: none is there.`,
  );
}

async function main(scratch: string): Promise<void> {
  const started = performance.now();
  const stage = new Stage(scratch);
  const servers: DemoServer[] = [];
  try {
    stage.say('A scratch git remote, and servers whose accounts have passwords that somebody typed.');
    const postgres = await demoPostgres();
    servers.push(postgres);
    const mariadb = await demoMariadb();
    if (mariadb) servers.push(mariadb);
    for (const { name, port } of servers) stage.print(`  ${name} on 127.0.0.1:${port}`);
    if (!mariadb) stage.print('  MariaDB is not installed, so PostgreSQL alone');
    await story(stage, postgres, mariadb, servers);
    stage.say(
      `Everything held, in ${Math.ceil((performance.now() - started) / 1000)} seconds; nothing is left behind.`,
    );
  } catch (error) {
    process.stdout.write('\n');
    stage.print(`quickstart: ${error instanceof Error ? error.message : String(error)}`, '31');
    process.exitCode = 1;
  } finally {
    for (const server of servers) await server.stop();
  }
}

const [, , scratch] = process.argv;
if (scratch === undefined) throw new Error('give it a folder: npm run quickstart');
await main(scratch);
