import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { atMost, compare, median, node, type Row, type Run } from './measure.ts';
import { makeProject, type Project, secrets, target } from './project.ts';
import { recordAll } from './recorded.ts';

/** Reads and parses the manifests that `validate` and `plan` read, and nothing else. */
const floor = `import { readdirSync, readFileSync } from 'node:fs';
import { parseAllDocuments } from '${pathToFileURL(join(import.meta.dirname, '../node_modules/yaml/dist/index.js'))}';
const files = readdirSync('manifests', { recursive: true }).filter((file) => file.endsWith('.yaml'));
for (const file of ['keyturn.yaml', ...files.map((file) => 'manifests/' + file)])
  for (const document of parseAllDocuments(readFileSync(file, 'utf8'))) document.toJS();
`;

/** `validate` and a plan that finds nothing to do, by the number of secrets; then how plans grow up to 100,000. */
export async function scale(scratch: string): Promise<Row[]> {
  const script = join(scratch, 'floor.mjs');
  writeFileSync(script, floor);
  const rows: Row[] = [];
  const plans: Row[] = [];
  for (const [count, times] of [
    [100, 7],
    [1000, 5],
    [10_000, 3],
  ] as const) {
    const project = await recorded(scratch, secrets(count));
    const parse = () => node([script], { cwd: project.folder, env: project.env });
    const against = 'read and parse with yaml';
    const budget = count === 10_000 ? 1.3 : null;
    for (const command of ['validate', 'plan'] as const) {
      const words = { what: `${command}, ${count} secrets`, against, budget };
      const row = await compare(words, times, parse, () => project.keyturn(command));
      (command === 'plan' ? plans : rows).push(row);
    }
  }
  return [...rows, ...plans, ...(await growth(scratch))];
}

/** From 10,000 to 100,000 secrets, a hundred in a file. */
async function growth(scratch: string): Promise<Row[]> {
  const plan = async (count: number): Promise<Run> => {
    const project = await recorded(scratch, bundled(count));
    const runs: Run[] = [];
    for (let n = 0; n < 3; n++) runs.push(await project.keyturn('plan'));
    return {
      milliseconds: median(runs.map((run) => run.milliseconds)),
      peak: median(runs.map((run) => run.peak)),
    };
  };
  const few = await plan(10_000);
  const many = await plan(100_000);
  return [
    {
      ...{ what: 'plan, 100,000 secrets', against: 'ten times that of 10,000', unit: 'ms', budget: 1.3 },
      ...{ floor: 10 * few.milliseconds, keyturn: many.milliseconds, peak: many.peak },
    },
    atMost(
      { what: 'memory of plan, a secret', against: 'budget; from 10,000 to 100,000', unit: 'bytes' },
      5 * 1024,
      ((many.peak - few.peak) * 1024 * 1024) / 90_000,
    ),
  ];
}

async function recorded(scratch: string, manifests: Record<string, string>): Promise<Project> {
  const project = await makeProject(scratch, {
    'manifests/target.yaml': target('postgresql', 5432),
    ...manifests,
  });
  await recordAll(project, { sealed: false });
  return project;
}

function bundled(count: number): Record<string, string> {
  const all = Object.values(secrets(count));
  const files: Record<string, string> = {};
  for (let n = 0; n < count; n += 100)
    files[`manifests/secrets/bundle-${n}.yaml`] = all.slice(n, n + 100).join('---\n');
  return files;
}
