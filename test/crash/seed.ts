/** The secrets of a round: one for every place to die at, with their accounts, manifests and first versions. */
import type { DatabaseServer } from '../servers/server.ts';
import { createAccount } from './databases.ts';
import { adoption, recovery, rekeying, retirement, rotation } from './failpoints.ts';
import { type Machine, put, type RunOptions, type World } from './world.ts';

export interface Combination {
  database: DatabaseServer['kind'];
  actor: 'self' | 'target';
  /** How two versions are valid at once during grace; `none` is without grace. */
  overlap: 'none' | 'dual' | 'pair';
}

export interface Case {
  secret: string;
  usernames: string[];
  first: string;
  /** Where the recovery dies too. */
  second?: string;
  kind: 'rotation' | 'recovery' | 'adoption' | 'rekeying' | 'retirement';
}

const minute = 60_000;
const hour = 60 * minute;
/** When the killing starts: grace of what `seed` rotated is over by then. */
export const crash = 3 * hour;

let accounts = 0;

export function casesOf({ overlap }: Combination): Case[] {
  const make = (kind: Case['kind'], first: string, second?: string): Case => {
    accounts += 1;
    const names = overlap === 'pair' ? [`kt${accounts}a`, `kt${accounts}b`] : [`kt${accounts}`];
    return { kind, first, secret: `${kind}/s${accounts}`, usernames: names, ...(second ? { second } : {}) };
  };
  return [
    ...rotation.map((first) => make('rotation', first)),
    ...recovery.map(([first, second]) => make('recovery', first, second)),
    ...adoption.map((first) => make('adoption', first)),
    ...rekeying.map((first) => make('rekeying', first)),
    // without grace nothing is ever retired: the failpoints of retire are not reached
    ...(overlap === 'none' ? [] : retirement.map((first) => make('retirement', first))),
  ];
}

export const targetManifest = (server: DatabaseServer, port: number): string => `apiVersion: keyturn/v1
kind: Target
metadata: { name: db }
spec:
  type: ${server.kind === 'postgresql' ? 'postgresql' : 'mysql'}
  host: 127.0.0.1
  port: ${port}
  tls: { mode: disable }
  credentials: { username: ${server.adminUser}, password: { file: ADMIN_FILE } }
`;

/** Accounts, manifests, and the first version of everything but what is to be adopted. */
export async function seed(
  world: World,
  a: Machine,
  server: DatabaseServer,
  { actor, overlap }: Combination,
  cases: readonly Case[],
): Promise<void> {
  put(world.at('initial', 'admin'), server.adminPassword, 0o600);
  world.canary.learn('the admin password', server.adminPassword);
  const manifests: string[] = [];
  for (const { secret, usernames, kind } of cases) {
    const adopted = actor === 'self' || kind === 'adoption';
    const value = `Initial-${crypto.randomUUID()}`;
    const [first = '', second] = usernames;
    await createAccount(server, first, value, actor === 'self' && overlap === 'dual');
    if (second !== undefined) await createAccount(server, second, undefined);
    const file = world.at('initial', first);
    if (adopted) {
      put(file, value, 0o600);
      world.canary.learn(`the initial value of ${secret}`, value, true);
    }
    manifests.push(`apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: ${secret} }
spec:
  target: db
  authenticateAs: ${actor === 'self' ? 'user' : 'target'}
  account: { ${overlap === 'pair' ? `usernames: [${usernames.join(', ')}]` : `username: ${first}`} }
  schedule: { every: 300d }
${overlap === 'none' ? '' : '  grace: 2h\n'}${adopted ? `  initial: { password: { file: ${file} } }\n` : ''}`);
  }
  const target = world.git(a.clone, 'show', 'HEAD:manifests/target.yaml');
  world.commit(a, {
    'manifests/target.yaml': `${target.replace('ADMIN_FILE', world.at('initial', 'admin'))}\n`,
    'manifests/secrets.yaml': manifests.join('---\n'),
  });
  const groups = ['rotation', 'recovery', 'rekeying', 'retirement'];
  await succeed(world, a, ['apply', '--only', ...groups.map((group) => `${group}/**`)]);
  const names = (kind: Case['kind']) => cases.filter((c) => c.kind === kind).map((c) => c.secret);
  const retiring = names('retirement');
  if (retiring.length > 0) await succeed(world, a, ['rotate', ...retiring, '--force']);
  const wishes = [...names('rotation'), ...names('recovery')];
  await succeed(world, a, ['rotate', ...wishes, '--flag'], { offset: crash });
  world.commit(a, {
    'manifests/role.yaml': `apiVersion: keyturn/v1
kind: Role
metadata: { name: latecomer }
spec:
  members: [{ name: bob, recipient: ${world.reader.recipient} }]
  secrets: ["rekeying/**"]
`,
  });
}

async function succeed(
  world: World,
  machine: Machine,
  args: string[],
  options: RunOptions = {},
): Promise<string> {
  const { code, signal, stdout, stderr } = await world.run(machine, args, options);
  if (code !== 0) throw new Error(`keyturn ${args.join(' ')}: exit ${code ?? signal}\n${stdout}\n${stderr}`);
  return `${stdout}${stderr}`;
}
