import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { chmod, mkdtemp } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Fault } from './cut-proxy.ts';
import { newer } from './openssh.ts';

export interface SshdOptions {
  /** Lines before everything else in `sshd_config`: the first one wins there. */
  config?: readonly string[];
  /** The password part goes through PAM: `keyboard-interactive` too. Default true. */
  pam?: boolean;
  /** Lines for `/etc/pam.d/sshd` in place of the plain `auth` one. */
  auth?: readonly string[];
  /** OpenSSH 9.8 or newer, see `penalizes`. Without PAM. */
  newer?: boolean;
}

export interface SshServer {
  readonly host: string;
  readonly port: number;
  /** `SHA256:…` of the only host key. */
  readonly fingerprint: string;
  readonly logFile: string;
  /** Of the process that listens; its sessions are below it. */
  readonly pid: number;
  /** Runs a script as root where the accounts are; its stdout. Throws with stderr when it fails. */
  run(script: string, input?: string): string;
  /** A fresh account with a password and a home that only it reads. */
  addUser(name: string, password: string, more?: { shell?: string; sudo?: string }): void;
  /** The next `chpasswd` or `passwd` fails like this. True once it has. */
  arm(fault: Fault): () => boolean;
  /** Ends every session as it stands, and begins anew on the same port with the same accounts. */
  restart(): void;
  /** New connections get no answer until `wake`; those that are open go on, or end too. */
  stall(): void;
  hang(): void;
  wake(): void;
  stop(): Promise<void>;
}

const host = '127.0.0.1';
const asRoot = process.getuid?.() === 0 ? [] : ['sudo', '-n'];
const programs = ['/usr/sbin/sshd', '/usr/bin/unshare', '/usr/bin/nsenter', '/usr/sbin/faillock'];

/** Why there is no private sshd here, or null. Its accounts need root, or sudo without a password, and Linux. */
export function sshdMissing(): string | null {
  const lacking = programs.find((path) => !existsSync(path));
  if (lacking !== undefined) return `${lacking} is not installed`;
  const namespace = spawnSync(asRoot[0] ?? 'true', [
    ...asRoot.slice(1),
    ...(asRoot.length > 0 ? ['true'] : []),
  ]);
  if (namespace.status !== 0) return 'throwaway accounts need root, or sudo without a password';
  return null;
}

/**
 * An OpenSSH server with accounts of its own: a private mount namespace holds an overlay on /etc with its users,
 * homes, PAM stacks and sudoers, so that nothing of the machine changes. Free of any test runner.
 */
export async function startSshd(options: SshdOptions = {}): Promise<SshServer> {
  const home = await mkdtemp(join(tmpdir(), 'keyturn-sshd-'));
  await chmod(home, 0o755);
  const at = (name: string): string => join(home, name);
  const port = await freePort();
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'host', '-f', at('host_key')]);
  const blob = readFileSync(at('host_key.pub'), 'utf8').split(' ')[1] ?? '';
  const fingerprint = `SHA256:${createHash('sha256').update(Buffer.from(blob, 'base64')).digest('base64').replace(/=+$/, '')}`;
  const { program, config } = options.newer ? newer(home) : { program: '/usr/sbin/sshd', config: [] };
  const given = { ...options, config: [...(options.config ?? []), ...config] };
  writeFileSync(at('sshd_config'), configOf(given, port, home).join('\n'));
  writeFileSync(at('pam_sshd'), pamOf(options).join('\n'));
  writeFileSync(at('log'), '');
  for (const name of ['chpasswd', 'passwd'])
    writeFileSync(at(name), `#!/bin/sh\nreal=/etc/kt-real/${name}\n${faulty}\n`);
  const child = spawn(
    asRoot[0] ?? '/usr/bin/unshare',
    [
      ...(asRoot.length > 0 ? [...asRoot.slice(1), '/usr/bin/unshare'] : []),
      '-m',
      '--propagation',
      'private',
      '/bin/sh',
      '-c',
      setUp,
      'sh',
      home,
      program,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const said: string[] = [];
  child.stderr.on('data', (chunk) => said.push(String(chunk)));
  await until(child, () => said.join(''), port);
  const pid = readFileSync(at('pid'), 'utf8').trim();

  const run = (script: string, input = ''): string => {
    const [command = '', ...args] = [
      ...asRoot,
      '/usr/bin/nsenter',
      '-t',
      pid,
      '-m',
      '/bin/sh',
      '-ec',
      script,
    ];
    const done = spawnSync(command, args, { input, encoding: 'utf8', cwd: '/' });
    if (done.status !== 0) throw new Error(`${script}\nended with ${done.status}: ${done.stderr}`);
    return done.stdout;
  };
  let stopped = false;
  const kill = (): void => {
    spawnSync(asRoot[0] ?? 'kill', [...(asRoot.length > 0 ? [...asRoot.slice(1), 'kill'] : []), pid]);
    rmSync(home, { recursive: true, force: true, maxRetries: 5 });
  };
  process.once('exit', kill);
  return {
    host,
    port,
    fingerprint,
    logFile: at('log'),
    pid: Number(pid),
    run,
    addUser(name, password, more = {}) {
      run(
        `useradd -m -d /etc/kt-homes/${name} -s ${more.shell ?? '/bin/sh'} ${name}; chmod 700 /etc/kt-homes/${name}; /usr/sbin/chpasswd`,
        `${name}:${password}\n`,
      );
      if (more.sudo !== undefined)
        run(`cat > /etc/sudoers.d/${name}; chmod 440 /etc/sudoers.d/${name}`, `${name} ${more.sudo}\n`);
    },
    arm(fault) {
      run(`printf ${fault} > /etc/kt-faults/armed; chmod 666 /etc/kt-faults/armed`);
      return () => run('ls /etc/kt-faults') === '';
    },
    restart: () => void run(`kill -HUP ${pid}; ${killSessions(pid)}`),
    stall: () => void run(`kill -STOP ${pid}`),
    hang: () => void run(`kill -STOP ${pid}; ${killSessions(pid)}`),
    wake: () => void run(`kill -CONT ${pid}`),
    stop: async () => {
      if (stopped) return;
      if (child.exitCode === null) run(`kill -CONT ${pid}`);
      stopped = true;
      process.removeListener('exit', kill);
      const gone = new Promise((resolve) => child.once('exit', resolve));
      kill();
      await gone;
    },
  };
}

/** Every sshd of this server but the one that listens. */
const killSessions = (pid: string): string =>
  `ns=$(readlink /proc/${pid}/ns/mnt); for p in /proc/[0-9]*; do [ $p != /proc/${pid} ] && ` +
  `[ "$(readlink $p/ns/mnt)" = "$ns" ] && case $(cat $p/comm) in sshd*) kill -9 \${p#/proc/} ;; esac; done; true`;

/** Stands before the real program: hangs up on the client before or after it ran, or never answers. */
const faulty = `armed=/etc/kt-faults/armed
[ -e $armed ] || exec $real "$@"
fault=$(cat $armed)
rm -f $armed
hang_up() {
  p=$$
  while [ "$(cat /proc/$p/comm)" != sshd ]; do p=$(cut -d" " -f4 /proc/$p/stat); done
  kill -9 $p
  sleep 5
  exit 1
}
[ $fault = lose-request ] && hang_up
$real "$@"
[ $fault = lose-reply ] && hang_up
sleep 5
exit 1`;

/** $1 is the folder of this server, $2 the program. The upper layer is a tmpfs: an overlay cannot lie on an overlay. */
const setUp = `set -e
mkdir "$1/layers"
mount -t tmpfs tmpfs "$1/layers"
for dir in etc run; do
  mkdir "$1/layers/$dir" "$1/layers/$dir-work"
  mount -t overlay overlay -o "lowerdir=/$dir,upperdir=$1/layers/$dir,workdir=$1/layers/$dir-work" "/$dir"
done
mkdir -p /etc/kt-homes /run/sshd /run/faillock
cp "$1/pam_sshd" /etc/pam.d/sshd
printf 'deny = 3\\nunlock_time = 600\\nnodelay\\n' > /etc/security/faillock.conf
rm -f /etc/nologin
mkdir /etc/kt-real /etc/kt-faults
chmod 777 /etc/kt-faults
for program in /usr/sbin/chpasswd /usr/bin/passwd; do
  name=\${program##*/}
  touch "/etc/kt-real/$name"
  mount --bind "$program" "/etc/kt-real/$name"
  chmod 755 "$1/$name"
  mount --bind "$1/$name" "$program"
done
echo $$ > "$1/pid"
exec $2 -D -f "$1/sshd_config" -E "$1/log"`;

function configOf({ config = [], pam = true }: SshdOptions, port: number, home: string): string[] {
  return [
    ...config,
    `Port ${port}`,
    `ListenAddress ${host}`,
    `HostKey ${home}/host_key`,
    `PidFile ${home}/sshd.pid`,
    `UsePAM ${pam ? 'yes' : 'no'}`,
    'PasswordAuthentication yes',
    `KbdInteractiveAuthentication ${pam ? 'yes' : 'no'}`,
    'PermitRootLogin yes',
    'MaxStartups 100',
    'LogLevel VERBOSE',
    '',
  ];
}

/** `nodelay`: a wrong password is answered at once, where the pause is not the point. */
const pamOf = ({ auth = ['auth required pam_unix.so nodelay'] }: SshdOptions): string[] => [
  ...auth,
  'account required pam_unix.so',
  '@include common-password',
  'session required pam_permit.so',
  '',
];

async function until(child: ChildProcess, said: () => string, port: number): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await answers(port))) {
    if (child.exitCode !== null) throw new Error(`sshd ended with ${child.exitCode}: ${said()}`);
    if (performance.now() > deadline) throw new Error(`sshd does not answer on port ${port}: ${said()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, host, () => {
      const address = server.address();
      server.close(() =>
        address !== null && typeof address === 'object' ? resolve(address.port) : reject(),
      );
    });
  });
}
