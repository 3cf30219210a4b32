/**
 * One combination, one way to die: many secrets in one repository, each killed at another place, then judged,
 * then recovered by one `apply` and judged again. Times are offsets of the machine's clock.
 */
import type { DatabaseServer } from '../servers/server.ts';
import { logMark, logsIn, wrongAttempts } from './databases.ts';
import { isWire, wire } from './failpoints.ts';
import { startKillProxy } from './kill-proxy.ts';
import { judge, recorded, type Seen } from './oracle.ts';
import { type Case, type Combination, casesOf, crash, seed, targetManifest } from './seed.ts';
import { createWorld, type Machine, type RunOptions, type World } from './world.ts';

/** `kill`: the same machine runs again at once. `evict`: another machine, from a fresh clone, half an hour later. */
export type Mode = 'kill' | 'evict';

export interface Report {
  /** Processes that died by SIGKILL. */
  deaths: number;
  secrets: number;
  problems: string[];
}

/** How much later another machine comes by. */
const late = 30 * 60_000;
const statement = /ALTER USER .*IDENTIFIED|SET PASSWORD|ALTER ROLE/;

export const words = ({ database, actor, overlap }: Combination): string =>
  `${database} ${actor} ${overlap === 'none' ? 'no grace' : `grace (${overlap})`}`;

export async function runRound(
  server: DatabaseServer,
  combination: Combination,
  mode: Mode,
): Promise<Report> {
  const cases = casesOf(combination);
  const proxy = await startKillProxy(server);
  const world = await createWorld({ 'manifests/target.yaml': targetManifest(server, proxy.port) });
  const problems: string[] = [];
  try {
    const a = world.machine('a');
    const observer = world.machine('observer');
    await seed(world, a, server, combination, cases);
    const deaths = await kill(world, a, cases, mode, proxy.arm, problems);
    await inspect(world, observer, server, combination, cases, problems);
    await recover(world, observer, server, combination, cases, mode, a, problems);
    const { remote } = world;
    const findings = world.canary.findings({
      repositories: [remote, a.clone],
      folders: [world.at('tmp'), a.clone, a.env.HOME ?? ''],
      logs: [server.logFile],
    });
    problems.push(...findings.map((finding) => `canary: ${finding}`));
    if (process.platform === 'linux' && world.canary.sampled < deaths) problems.push('canary: it slept');
    return { deaths, secrets: cases.length, problems };
  } finally {
    await proxy.stop();
    world.remove();
  }
}

type Arm = (when: RegExp, moment: 'before' | 'after', murder: () => void) => void;

async function kill(
  world: World,
  a: Machine,
  cases: readonly Case[],
  mode: Mode,
  arm: Arm,
  problems: string[],
): Promise<number> {
  let deaths = 0;
  const murder = async (
    machine: Machine,
    one: Case,
    at: string,
    args: string[],
    offset: number,
  ): Promise<void> => {
    const options: RunOptions = isWire(at)
      ? { started: (child) => arm(statement, wire[at], () => child.kill('SIGKILL')) }
      : { killAt: at };
    const { signal, code, stderr } = await world.run(machine, args, { ...options, offset });
    if (signal === 'SIGKILL') deaths += 1;
    else problems.push(`${one.secret}: ${at} was not reached by ${args.join(' ')}, exit ${code}: ${stderr}`);
  };
  for (const one of cases) {
    const rotates = one.kind === 'rotation' || one.kind === 'recovery';
    const args = rotates ? ['rotate', one.secret, '--force'] : ['apply', '--only', one.secret];
    await murder(a, one, one.first, args, crash);
  }
  const b = mode === 'kill' ? a : world.machine('b');
  for (const one of cases)
    if (one.second !== undefined)
      await murder(b, one, one.second, ['apply', '--only', one.secret], crash + (mode === 'kill' ? 0 : late));
  return deaths;
}

const graceOf = ({ overlap }: Combination): boolean => overlap !== 'none';

async function inspect(
  world: World,
  observer: Machine,
  server: DatabaseServer,
  combination: Combination,
  cases: readonly Case[],
  problems: string[],
): Promise<void> {
  const all = await recorded(world, observer);
  for (const one of cases) {
    const seen = all.get(one.secret);
    if (seen === undefined) {
      if (one.kind !== 'adoption') problems.push(`${label(one)}: no record`);
      continue;
    }
    const verdict = await judge(server, seen, one.usernames, graceOf(combination));
    problems.push(...verdict.problems.map((problem) => `${label(one)}: ${problem}`));
  }
}

const label = (one: Case): string => `${one.kind} ${one.first}${one.second ? ` > ${one.second}` : ''}`;

/** One `apply` ends everything; another one finds nothing to do. */
async function recover(
  world: World,
  observer: Machine,
  server: DatabaseServer,
  combination: Combination,
  cases: readonly Case[],
  mode: Mode,
  a: Machine,
  problems: string[],
): Promise<void> {
  const machine = mode === 'kill' ? a : world.machine('c');
  if (mode === 'kill') world.git(a.clone, 'pull', '--quiet', '--ff-only');
  const offset = crash + (mode === 'kill' ? 0 : 2 * late);
  const from = await logMark(server);
  const run = await world.run(machine, ['apply'], { offset });
  if (run.code !== 0) problems.push(`recovery: exit ${run.code}\n${run.stdout}${run.stderr}`);
  const tip = world.tip();
  const again = await world.run(machine, ['apply'], { offset });
  if (again.code !== 0 || !/nothing to do/.test(`${again.stdout}${again.stderr}`))
    problems.push(`idle apply: exit ${again.code}\n${again.stdout}${again.stderr}`);
  if (world.tip() !== tip) problems.push('idle apply: made a commit');
  const wrong = wrongAttempts(server, from, await logMark(server));

  const all = await recorded(world, observer);
  for (const one of cases) {
    const say = (problem: string) => problems.push(`${label(one)}: after recovery, ${problem}`);
    const seen = all.get(one.secret);
    if (seen === undefined) {
      say('there is no record');
      continue;
    }
    const attempts = one.usernames.reduce((sum, username) => sum + (wrong.get(username) ?? 0), 0);
    if (attempts > 1) say(`I4: ${attempts} wrong attempts`);
    for (const problem of await healthy(world, observer, server, combination, one, seen)) say(problem);
  }
}

async function healthy(
  world: World,
  observer: Machine,
  server: DatabaseServer,
  combination: Combination,
  one: Case,
  seen: Seen,
): Promise<string[]> {
  const { record } = seen;
  const { accepted, problems } = await judge(server, seen, one.usernames, graceOf(combination));
  const version = one.kind === 'adoption' || one.kind === 'rekeying' ? 1 : 2;
  if (record.current !== version) problems.push(`I2: current is v${record.current}, not v${version}`);
  if (record.pending !== null) problems.push('I2: something is pending');
  if (record.health !== 'ok') problems.push(`health is ${record.health}`);
  const expected =
    graceOf(combination) && (one.kind === 'rotation' || one.kind === 'recovery') ? [1, 2] : [version];
  if (accepted.join() !== expected.join())
    problems.push(`accepted are ${accepted.join()}, not ${expected.join()}`);
  const identity = one.kind === 'rekeying' ? { identity: world.reader.file } : {};
  const got = await world.ask(observer, ['get', one.secret], identity);
  const username = seen.values.get(record.current ?? 0)?.username ?? '';
  if (got.code !== 0 || !(await logsIn(server, username, got.stdout)))
    problems.push(`get does not print what logs in: ${got.stderr}`);
  return problems;
}
