import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compare, node, type Row } from './measure.ts';
import { makeProject, secrets, target } from './project.ts';
import { recordAll } from './recorded.ts';

/** What `get` cannot do without: the newest commit of the remote and two of its files. */
const bareGet = `import { execFileSync } from 'node:child_process';
const git = (...args) => execFileSync('git', args, { maxBuffer: 1e9 });
git('fetch', '--quiet', 'origin', 'main');
git('cat-file', 'blob', 'FETCH_HEAD:values/bench/group-0/account-0@current');
git('cat-file', 'blob', 'FETCH_HEAD:values/bench/group-0/account-0/1.age');
`;

export async function startUp(scratch: string): Promise<Row[]> {
  const empty = join(scratch, 'empty.mjs');
  const get = join(scratch, 'get.mjs');
  writeFileSync(empty, '');
  writeFileSync(get, bareGet);
  const project = await makeProject(scratch, {
    'manifests/target.yaml': target('postgresql', 5432),
    ...secrets(1),
  });
  await recordAll(project, { sealed: true });
  const bare = (script: string) => () => node([script], { cwd: project.folder, env: project.env });
  return [
    await compare({ what: '--help', against: 'bare node', budget: 2.5 }, 15, bare(empty), () =>
      project.keyturn('--help'),
    ),
    await compare(
      { what: 'get', against: 'bare node with git fetch, cat-file', budget: 2.5 },
      15,
      bare(get),
      () => project.keyturn('get', 'bench/group-0/account-0'),
    ),
  ];
}
