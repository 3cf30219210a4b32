import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { compare, node, type Row } from './measure.ts';
import { makeProject, secrets, target } from './project.ts';

/** Reads and parses what `validate` reads, and nothing else. */
const floor = `import { readdirSync, readFileSync } from 'node:fs';
import { parseAllDocuments } from '${pathToFileURL(join(import.meta.dirname, '../node_modules/yaml/dist/index.js'))}';
const files = readdirSync('manifests', { recursive: true }).filter((file) => file.endsWith('.yaml'));
for (const file of ['keyturn.yaml', ...files.map((file) => 'manifests/' + file)])
  for (const document of parseAllDocuments(readFileSync(file, 'utf8'))) document.toJS();
`;

export async function coldStart(scratch: string): Promise<Row[]> {
  const script = join(scratch, 'floor.mjs');
  writeFileSync(script, floor);
  const rows: Row[] = [];
  for (const [count, times] of [
    [0, 9],
    [100, 7],
    [1000, 3],
  ] as const) {
    const project = await makeProject(scratch, {
      'manifests/target.yaml': target('postgresql', 5432),
      ...secrets(count),
    });
    const words = { what: `validate, ${count} secrets`, against: 'read and parse with yaml' };
    const parse = () => node([script], { cwd: project.folder, env: { PATH: process.env.PATH } });
    rows.push(await compare(words, times, parse, () => project.keyturn('validate')));
  }
  return rows;
}
