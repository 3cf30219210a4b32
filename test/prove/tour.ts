/** Rounds of processes that die, each judged by plain clients; then rest. */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { openSession } from '../../src/run.ts';
import type { SecretRecord } from '../../src/state/model.ts';
import type { Machine, Run, World } from '../crash/world.ts';
import type { Dice } from '../fuzz/seeds.ts';
import type { Fleet, Kept, Member } from './part.ts';
import { leaks, resting, verdict } from './verdict.ts';

const minute = 60_000;
const hour = 60 * minute;

export class Tour {
  readonly report = {
    runs: 0,
    killed: 0,
    stopped: 0,
    evicted: 0,
    rotations: 0,
    halfway: 0,
    logins: 0,
    problems: [] as string[],
  };
  readonly #world: World;
  readonly #fleet: Fleet;
  readonly #dice: Dice;
  readonly #machines: Machine[];
  readonly #observer: Machine;
  /** Records as they were when they last were well. */
  readonly #well = new Map<string, string>();
  /** Who must have a run that lives before a day is over. */
  #daily = new Set<string>();
  /** Milliseconds that the machines' clocks are ahead. */
  #ahead = 0;
  /** Milliseconds that rotating everything takes here. */
  #usual = 0;
  #rounds = 0;

  constructor(world: World, fleet: Fleet, dice: Dice) {
    this.#world = world;
    this.#fleet = fleet;
    this.#dice = dice;
    this.#machines = ['a', 'b', 'c'].map((name) => world.machine(name));
    this.#observer = world.machine('observer');
  }

  get #first(): Machine {
    const [first] = this.#machines;
    if (first === undefined) throw new Error('unreachable');
    return first;
  }

  async begin(): Promise<void> {
    this.#world.commit(this.#first, this.#fleet.manifests);
    const run = await this.#run(this.#first, ['apply', '--yes', '--force']);
    if (run.code !== 0) throw new Error(`the first apply: exit ${run.code}\n${run.stdout}${run.stderr}`);
    this.#forward(31 * minute);
    const names = this.#fleet.members.map(({ secret }) => secret);
    const started = performance.now();
    await this.#run(this.#first, ['rotate', ...names, '--yes', '--force']);
    this.#usual = performance.now() - started;
    await this.judge(this.#fleet.members, false);
  }

  /** One to three processes at once, most of which are killed. */
  async round(): Promise<void> {
    const dice = this.#dice;
    this.#rounds += 1;
    const pause = dice.pick([31 * minute, 31 * minute, 31 * minute, 2 * hour, 26 * hour]);
    this.#forward(this.#daily.size > 0 ? 31 * minute : pause);
    const width = dice.pick([1, 1, 2, 2, 3]);
    await Promise.all(this.#machines.slice(0, width).map((machine) => this.#process(machine)));
    const everybody = this.#rounds % 8 === 0;
    await this.judge(this.#fleet.members, false, !everybody);
  }

  async #process(machine: Machine): Promise<void> {
    const dice = this.#dice;
    const names = this.#fleet.members.map(({ secret }) => secret);
    const some = names.filter(() => dice.below(4) === 0);
    const args =
      dice.below(4) === 0 || some.length === 0
        ? ['apply', '--yes', '--force']
        : ['rotate', ...some, '--yes', '--force'];
    const how = dice.pick<NodeJS.Signals | null>(['SIGTERM', null, ...Array<'SIGKILL'>(8).fill('SIGKILL')]);
    // two of three die soon after something was pushed: between a claim and its promotion
    const afterPush = dice.below(3) > 0;
    const when = dice.below(Math.ceil(this.#usual * (afterPush ? 0.15 : 0.6)));
    const evicted = dice.below(6) === 0;
    let timer: NodeJS.Timeout | undefined;
    const run = await this.#run(machine, args, (child) => {
      if (how === null) return;
      const strike = (): void => void child.kill(how);
      if (!afterPush) timer = setTimeout(strike, when);
      else
        timer = this.#onPush(() => {
          timer = setTimeout(strike, when);
        });
    });
    clearTimeout(timer);
    if (run.signal === 'SIGKILL') {
      this.report.killed += 1;
      if (evicted) {
        this.report.evicted += 1;
        rmSync(join(machine.env.HOME ?? '', '.cache'), { recursive: true, force: true });
      }
      return;
    }
    if (how === 'SIGTERM') this.report.stopped += 1;
    // asked to stop before it had begun
    if (run.signal === 'SIGTERM') return;
    if (![0, 3, 75].includes(run.code ?? -1))
      this.#lost(`${args[0]} ended with ${run.code ?? run.signal}: ${run.stderr.slice(-2_000)}`);
  }

  /** Calls back once the remote's branch has moved. The timer may be cleared. */
  #onPush(moved: () => void): NodeJS.Timeout {
    const ref = join(this.#world.remote, 'refs', 'heads', 'main');
    const before = readFileSync(ref, 'utf8');
    const timer = setInterval(() => {
      if (readFileSync(ref, 'utf8') === before) return;
      clearInterval(timer);
      moved();
    }, 5);
    return timer;
  }

  async #run(
    machine: Machine,
    args: string[],
    started: (child: { kill(signal: NodeJS.Signals): void }) => void = () => undefined,
  ): Promise<Run> {
    this.report.runs += 1;
    const run = await this.#world.run(machine, args, {
      offset: this.#ahead,
      env: this.#fleet.env,
      started,
    });
    if (/internal error|\n\s+at .*:\d+:\d+/.test(run.stderr))
      this.#lost(`a bug: ${run.stderr.slice(-2_000)}`);
    return run;
  }

  #forward(milliseconds: number): void {
    this.#ahead += milliseconds;
    this.#fleet.clock(this.#ahead);
  }

  #lost(problem: string): void {
    this.report.problems.push(problem);
  }

  /** What must hold at any instant; `atRest` asks for more. `changed` leaves out whose record is what it was. */
  async judge(members: readonly Member[], atRest: boolean, changed = false): Promise<void> {
    const { ledger } = await openSession(this.#world.host(this.#observer, this.#ahead), {});
    const records = new Map(Object.values(ledger.state.records).map((record) => [record.name, record]));
    if (atRest)
      this.report.rotations = [...records.values()].reduce(
        (sum, { versions }) => sum + Math.max(...Object.keys(versions).map(Number)),
        0,
      );
    for (const member of members) {
      const record = records.get(member.secret);
      if (record === undefined) {
        this.#lost(`${member.secret} has no record`);
        continue;
      }
      const text = JSON.stringify(record);
      if (changed && record.pending === null && this.#well.get(member.secret) === text) continue;
      if (record.pending !== null) this.report.halfway += 1;
      if (member.daily && record.pending !== null) this.#daily.add(member.secret);
      else this.#daily.delete(member.secret);
      const kept = await this.#kept(record, ledger);
      const accepted: number[] = [];
      for (const one of kept) {
        this.report.logins += 1;
        if (await member.accepts(one)) accepted.push(one.v);
      }
      const found = verdict(member, record, accepted);
      if (atRest) found.push(...resting(record), ...(await member.strays(record, accepted.length)));
      for (const problem of found)
        this.#lost(
          `${member.secret}: ${problem} (recorded ${kept.map(({ v }) => v)}, accepted ${accepted}, current ${record.current}, pending ${record.pending?.v ?? 'none'})`,
        );
      this.#well.set(member.secret, text);
    }
  }

  /** What may be live, newest first; each value is taught to the canary. */
  async #kept(
    record: SecretRecord,
    ledger: Awaited<ReturnType<typeof openSession>>['ledger'],
  ): Promise<Kept[]> {
    const may = Object.entries(record.versions)
      .filter(([, { file, stage }]) => file !== null && stage !== 'retired')
      .map(([v]) => Number(v));
    const kept: Kept[] = [];
    for (const v of may) {
      const { username, handle } = record.versions[v] ?? { username: '', handle: undefined };
      const value = (await ledger.readVersion(record, v)).value.reveal();
      this.#world.canary.learn(`v${v} of ${record.name}`, value);
      kept.push({ v, username, value, handle });
    }
    return kept;
  }

  /** Healthy runs until there is nothing to do, and on until every grace is over; then nothing moves any more. */
  async rest(): Promise<void> {
    for (const wait of [31 * minute, 31 * minute, 2 * hour, 26 * hour, 26 * hour]) {
      this.#forward(wait);
      this.#world.git(this.#first.clone, 'pull', '--quiet', '--ff-only');
      const run = await this.#run(this.#first, ['apply', '--yes', '--force']);
      if (![0, 75].includes(run.code ?? -1))
        this.#lost(`recovery: exit ${run.code}\n${run.stdout}${run.stderr}`);
    }
    const tip = this.#world.tip();
    const idle = await this.#run(this.#first, ['apply', '--yes']);
    if (idle.code !== 0 || this.#world.tip() !== tip)
      this.#lost(`not at rest: exit ${idle.code}\n${idle.stdout}${idle.stderr}`);
    const verified = await this.#run(this.#first, ['verify']);
    if (verified.code !== 0)
      this.#lost(`verify: exit ${verified.code}\n${verified.stdout}${verified.stderr}`);
    const history = await this.#run(this.#first, ['verify', '--history']);
    if (history.code !== 0) this.#lost(`verify --history: exit ${history.code}\n${history.stderr}`);
    const refs = this.#world.git(
      this.#world.remote,
      'for-each-ref',
      '--format=%(refname)',
      'refs/heads/keyturn-spill',
    );
    if (refs !== '') this.#lost(`spilled and left: ${refs}`);
    this.#world.git(this.#world.remote, 'fsck', '--strict', '--no-dangling');
  }

  /** Looks for values, for what others could read, and for what nobody may be sent. */
  scan(): void {
    const machines = [...this.#machines, this.#observer];
    this.report.problems.push(...leaks(this.#world, machines, this.#fleet.logs, this.report.runs));
    this.report.problems.push(...this.#fleet.violations().map((sent) => `sent to a double: ${sent}`));
  }
}
