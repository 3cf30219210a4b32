import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** How to run a server that is installed, or unpacked from a newer suite (started by that suite's own loader). */
export interface Installation {
  command: string[];
  options: string[];
  /** SQL files that make MariaDB's system tables. */
  bootstrap: string[];
  /** Folder of its plugins; undefined where only the core package is installed. */
  plugins: string | undefined;
}

/** Where `install.sh` unpacks what the system does not have. */
export const cache: string =
  process.env.KEYTURN_TEST_CACHE ??
  (process.getuid?.() === 0 ? '/var/cache/keyturn-test' : join(homedir(), '.cache', 'keyturn-test'));

const systemTables = [
  'mariadb_system_tables.sql',
  'mysql_system_tables.sql',
  'mariadb_performance_tables.sql',
  'mysql_performance_tables.sql',
  'mariadb_system_tables_data.sql',
  'mysql_system_tables_data.sql',
];

export function findMariadb(): Installation | undefined {
  const root = ['', join(cache, 'mariadb')].find((folder) => existsSync(`${folder}/usr/sbin/mariadbd`));
  if (root === undefined) return undefined;
  const share = ['mariadb', 'mysql']
    .map((name) => `${root}/usr/share/${name}`)
    .find((path) => existsSync(`${path}/english`));
  const plugins = [root, join(cache, 'mariadb-plugins')]
    .map((folder) => `${folder}/usr/lib/mysql/plugin`)
    .find((folder) => existsSync(`${folder}/simple_password_check.so`));
  const bootstrap = systemTables.map((name) => `${share}/${name}`).filter((path) => existsSync(path));
  return {
    command: root === '' ? ['/usr/sbin/mariadbd'] : through(root, '/usr/sbin/mariadbd'),
    options: [
      `--basedir=${root}/usr`,
      `--lc-messages-dir=${share}`,
      ...(plugins === undefined ? [] : [`--plugin-dir=${plugins}`, '--plugin-maturity=gamma']),
    ],
    bootstrap,
    plugins,
  };
}

export function findMysql(): Installation | undefined {
  const unpacked = join(cache, 'sid-mysql');
  if (existsSync(`${unpacked}/usr/sbin/mysqld`)) {
    return {
      command: through(unpacked, '/usr/sbin/mysqld'),
      options: mysqlOptions(unpacked),
      bootstrap: [],
      plugins: undefined,
    };
  }
  if (!isOracleMysql('/usr/sbin/mysqld')) return undefined;
  return {
    command: [unconfined('/usr/sbin/mysqld')],
    options: mysqlOptions(''),
    bootstrap: [],
    plugins: undefined,
  };
}

/** For `describe.skipIf`: says so once, out loud, and on CI it is an error, because there everything is installed. */
export function isMissing(kind: 'mysql' | 'mariadb'): boolean {
  return isAbsent(kind, kind === 'mysql' ? findMysql() : findMariadb());
}

/** The same for MariaDB's password plugins. */
export function lacksPlugins(): boolean {
  return isAbsent("mariadb's password plugins", findMariadb()?.plugins);
}

function isAbsent(what: string, found: unknown): boolean {
  if (found !== undefined) return false;
  const line = `${what}: not installed: its tests are SKIPPED; run test/servers/install.sh`;
  if (process.env.CI) throw new Error(line);
  process.stderr.write(`\n!!! ${line}\n\n`);
  return true;
}

const mysqlOptions = (root: string): string[] => [
  `--basedir=${root}/usr`,
  `--plugin-dir=${root}/usr/lib/mysql/plugin`,
  `--lc-messages-dir=${root}/usr/share/mysql`,
  `--character-sets-dir=${root}/usr/share/mysql/charsets`,
  '--mysqlx=OFF',
  '--secure-file-priv=',
];

/** Older suites still keep a part of their libraries, the loader among them, in `/lib`. */
function through(root: string, program: string): string[] {
  const folders = ['usr/lib', 'lib'].flatMap((lib) =>
    inside(`${root}/${lib}`, (name) => name.endsWith('-linux-gnu')),
  );
  const [loader] = folders.flatMap((folder) => inside(folder, (name) => /^ld-linux.*\.so\.\d$/.test(name)));
  if (loader === undefined)
    throw new Error(`${root}: holds no loader; remove it and run test/servers/install.sh`);
  const libraries = [...folders, `${root}/usr/lib/mysql/private`].join(':');
  return [loader, '--library-path', libraries, `${root}${program}`];
}

const inside = (folder: string, wanted: (name: string) => boolean): string[] =>
  existsSync(folder)
    ? readdirSync(folder)
        .filter(wanted)
        .map((name) => join(folder, name))
    : [];

function isOracleMysql(program: string): boolean {
  if (!existsSync(program)) return false;
  const version = execFileSync(program, ['--no-defaults', '--version'], { encoding: 'utf8' });
  return !/mariadb/i.test(version) && /Ver ([89]|\d\d)\./.test(version);
}

/** AppArmor's profile, where there is one, goes by the path and forbids a data folder of ours: run a copy. */
function unconfined(program: string): string {
  if (!existsSync('/etc/apparmor.d/usr.sbin.mysqld')) return program;
  const copy = join(cache, 'mysqld');
  if (!existsSync(copy)) {
    mkdirSync(cache, { recursive: true });
    copyFileSync(program, copy);
  }
  return copy;
}
