/**
 * `npm run prove [-- --quick] [-- --seed N] [-- --json FILE] [-- --only WORD]`: everything that shows that no
 * credential is ever lost, in one table. Ends with 1 when anything was. Seeds are drawn anew each time and printed;
 * `--seed` plays the same ones again.
 */
import { randomInt } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { what } from './rows.ts';
import { soak } from './soak.ts';
import { type Row, runStage, type Stage, thousands } from './stages.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    seed: { type: 'string' },
    json: { type: 'string' },
    only: { type: 'string', default: '' },
    kills: { type: 'string' },
  },
});
const seed = values.seed === undefined ? randomInt(1, 1_000_000_000) : Number(values.seed);
const schedules = values.quick ? 40 : 300;
const kills = Number(values.kills ?? (values.quick ? 12 : 100));

// servers end with the process that started them
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

const say = (text: string): void => void process.stdout.write(`${text}\n`);

const stages: Stage[] = [
  { what: what.model, tests: ['test/model'], env: {} },
  {
    what: what.schedules,
    tests: [
      'test/engine/explore.test.ts',
      'test/engine/issued-explore.test.ts',
      'test/engine/slots-explore.test.ts',
    ],
    env: { KEYTURN_SEED: String(seed), KEYTURN_SCHEDULES: String(schedules) },
  },
  {
    what: what.crashes,
    tests: ['test/crash', 'test/targets/ssh-crash.test.ts'],
    env: {},
  },
  {
    what: what.lies,
    tests: ['test/fuzz', 'test/manifests/fuzz.test.ts', 'test/state/journal-tampered.test.ts'],
    env: { KEYTURN_SEED: String(seed), KEYTURN_FUZZ: values.quick ? '1' : '5' },
  },
];

const rows: Row[] = [];
say(`seed ${seed}: npm run prove -- ${values.quick ? '--quick ' : ''}--seed ${seed} plays the same`);
for (const stage of stages) {
  if (!stage.what.startsWith(values.only)) continue;
  say(`… ${stage.what}`);
  rows.push(await runStage(stage));
}
if ('soak'.startsWith(values.only)) {
  say('… soak');
  const report = await soak(kills, seed, (line) => say(`  ${line}`));
  const {
    runs,
    killed,
    stopped,
    evicted,
    rotations,
    halfway,
    logins,
    sampled,
    servers,
    secrets,
    problems,
    seconds,
  } = report;
  rows.push({
    what: what.soak,
    tried: `${secrets} secrets on ${servers.join(', ')}, ${runs} runs, ${killed} killed at random, ${stopped} interrupted, ${evicted} machines lost, ${halfway} secrets found halfway, ${thousands(rotations)} versions, ${thousands(logins)} logins, ${thousands(sampled)} processes searched for values`,
    lost: problems,
    seconds,
  });
}

const header = ['tried by `npm run prove`', 'how much', 'lost', 'seconds'];
const cells = rows.map(({ what: row, tried, lost, seconds }) => [
  row,
  tried,
  String(lost.length),
  String(seconds),
]);
say(`\n| ${header.join(' | ')} |\n|${header.map(() => '---').join('|')}|`);
for (const row of cells) say(`| ${row.join(' | ')} |`);
const lost = rows.flatMap((row) => row.lost.map((problem) => `${row.what}: ${problem}`));
for (const problem of lost) say(`\nLOST ${problem}`);
say(lost.length === 0 ? '\nnothing was lost' : `\n${lost.length} LOST; seed ${seed}`);
if (values.json !== undefined)
  writeFileSync(values.json, `${JSON.stringify({ seed, quick: values.quick, rows }, null, 2)}\n`);
process.exit(lost.length === 0 ? 0 : 1);
