import { startMariadb } from '../test/servers/mysql.ts';
import { findMariadb } from '../test/servers/mysql-installation.ts';
import { sshdMissing, startSshd } from '../test/servers/sshd.ts';
import { bareLoop } from './bare/run.ts';
import { leftOut } from './left-out.ts';
import { compare, type Row } from './measure.ts';
import { adminPassword, makeProject, secrets, target } from './project.ts';
import { pushes, rotationBytes } from './pushes.ts';

const user = (n: number): string => `bench_${n}`;
const names = (count: number): string[] =>
  Array.from({ length: count }, (_, n) => `bench/group-${n % 10}/account-${n}`);
/** Accounts of the bare loop, after keyturn's own. */
const others = (from: number, count: number): Map<string, string> =>
  new Map(Array.from({ length: count }, (_, n) => [user(from + n), `first-value-${from + n}`]));

/** Rotations of 1, 100 and 1,000 accounts against a bare loop; what they push, and what that adds to git. */
export async function mysqlRotations(scratch: string): Promise<Row[]> {
  if (!findMariadb()) return leftOut('mysql', 'MariaDB is not installed');
  const most = 1000;
  const server = await startMariadb({ options: ['--general-log=0'] });
  try {
    await server.query(`CREATE USER bench_admin@'%' IDENTIFIED BY '${adminPassword}'`);
    await server.query(`GRANT ALL PRIVILEGES ON *.* TO bench_admin@'%' WITH GRANT OPTION`);
    for (let n = 0; n < 2 * most; n++)
      await server.query(`CREATE USER ${user(n)}@'%' IDENTIFIED BY 'first-value-${n}'`);
    const project = await makeProject(scratch, {
      'manifests/target.yaml': target('mysql', server.port),
      ...secrets(most),
    });
    await project.keyturn('apply', '--force');
    const rows = [await rotationBytes(project, names(most)), await pushes(project, names(most))];
    const bare = others(most, most);
    const rotate = async (count: number, times: number, where: string, budget: number | null) => {
      const job = {
        ...{ host: server.host, port: server.port, folder: project.folder, remote: project.origin() },
        ...{ concurrency: 8, admin: { user: 'bench_admin', password: adminPassword } },
      };
      const words = { what: `rotate ${count} MySQL accounts`, against: `bare mysql2 loop, ${where}`, budget };
      const floor = () => bareLoop('mysql', job, bare, count);
      const ours = () => project.keyturn('rotate', ...names(count), '--force');
      rows.push(await compare(words, times, floor, ours));
    };
    await rotate(most, 3, 'pushes to the same disk', null);
    const served = await project.serve();
    await rotate(1, 7, 'pushes over http', null);
    await rotate(100, 3, 'pushes over http', null);
    await rotate(most, 3, 'pushes over http', 1.3);
    await served.close();
    return rows;
  } finally {
    await server.stop();
  }
}

/** Rotations of 64 accounts of one host against a bare loop. */
export async function sshRotations(scratch: string): Promise<Row[]> {
  const missing = sshdMissing();
  if (missing !== null) return leftOut('ssh', missing);
  const count = 64;
  const server = await startSshd({ config: ['MaxStartups 100:30:200'] });
  try {
    server.addUser('bench_admin', adminPassword, { sudo: 'ALL=(ALL) NOPASSWD: ALL' });
    for (let n = 0; n < 2 * count; n++) server.addUser(user(n), `first-value-${n}`);
    const project = await makeProject(scratch, {
      'manifests/target.yaml': `apiVersion: keyturn/v1
kind: Target
metadata: { name: bench }
spec:
  type: ssh
  host: ${server.host}
  port: ${server.port}
  hostKeys: ["${server.fingerprint}"]
  sudo: passwordless
  spacing: 0s
  concurrency: 4
  credentials: { username: bench_admin, password: { env: ADMIN_PASSWORD } }
`,
      ...secrets(count),
    });
    await project.keyturn('apply', '--force');
    const bare = others(count, count);
    const job = {
      ...{ host: server.host, port: server.port, folder: project.folder, remote: project.remote },
      ...{ concurrency: 4, admin: { user: 'bench_admin', password: adminPassword } },
    };
    const row = await compare(
      { what: `rotate ${count} SSH accounts`, against: 'bare ssh2 loop and pushes', budget: 1.3 },
      3,
      () => bareLoop('ssh', job, bare, count),
      () => project.keyturn('rotate', ...names(count), '--force'),
    );
    return [row];
  } finally {
    await server.stop();
  }
}
