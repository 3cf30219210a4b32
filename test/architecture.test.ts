import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

/**
 * Rules of the house: imports point downwards, an SDK has one door, heavy ones load on first use, plaintext,
 * exit and time have their places. `violations` judges one file by its path and text.
 */

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** Rooms from the ground up; a file imports its own room and those below. */
const rooms = [
  [
    'leaves',
    [
      'src/secret.ts',
      'src/share.ts',
      'src/ids.ts',
      'src/redact.ts',
      'src/errors.ts',
      'src/clock.ts',
      'src/host.ts',
      'src/password.ts',
      'src/version.ts',
      'src/release.ts',
      'src/rotator/',
    ],
  ],
  ['age', ['src/age/']],
  ['manifests', ['src/manifests/']],
  ['git', ['src/git/']],
  ['state', ['src/state/']],
  ['targets', ['src/targets/']],
  ['engine', ['src/engine/']],
  ['output', ['src/output/']],
  [
    'run.ts',
    [
      'src/here.ts',
      'src/start.ts',
      'src/run.ts',
      'src/shelf.ts',
      'src/which.ts',
      'src/reader.ts',
      'src/review.ts',
      'src/register.ts',
      'src/tell.ts',
      'src/beat.ts',
      'src/owner.ts',
    ],
  ],
  ['connect', ['src/connect/']],
  ['commands', ['src/commands/']],
  ['github', ['src/github/']],
  ['cli.ts', ['src/cli.ts', 'src/action.ts']],
] as const;

interface Door {
  places: readonly string[];
  /** Costs tens of milliseconds to load, so it is imported where it is used. */
  heavy: boolean;
}

const doors: Record<string, Door> = {
  mysql2: { places: ['src/targets/mysql/'], heavy: true },
  pg: { places: ['src/targets/postgresql/'], heavy: true },
  '@aws-sdk': { places: ['src/targets/aws/'], heavy: true },
  '@azure': { places: ['src/targets/azure/'], heavy: true },
  '@microsoft': { places: ['src/targets/azure/'], heavy: true },
  'age-encryption': { places: ['src/age/age.ts'], heavy: true },
  ssh2: { places: ['src/age/ssh-key-file.ts', 'src/targets/ssh/'], heavy: true },
  '@noble/curves': { places: ['src/age/ssh.ts'], heavy: true },
  ajv: { places: ['src/manifests/'], heavy: true },
  yaml: { places: ['src/manifests/'], heavy: false },
  commander: { places: ['src/cli.ts', 'src/commands/'], heavy: false },
  '@inquirer': { places: ['src/output/', 'src/commands/'], heavy: true },
  jose: { places: ['src/rotator/'], heavy: false },
  nodemailer: { places: ['src/output/notify/'], heavy: true },
  'log-update': { places: ['src/output/'], heavy: true },
};

const mayReveal = [
  'src/secret.ts',
  'src/targets/',
  'src/age/',
  'src/state/',
  'src/output/notify/',
  'src/connect/web.ts',
  'src/commands/get.ts',
  'src/commands/given.ts',
  'src/commands/seal.ts',
  'src/commands/keygen.ts',
  'src/commands/init.ts',
  'src/github/action.ts',
  'src/github/aws-token.ts',
  'src/github/get.ts',
  'src/password.ts',
];

const habits: { what: string; pattern: RegExp; places: readonly string[] }[] = [
  { what: 'reveals a secret', pattern: /\.reveal\(/, places: mayReveal },
  { what: 'calls process.exit', pattern: /\bprocess\.exit\b/, places: ['src/cli.ts', 'src/action.ts'] },
  {
    what: 'reads the clock or draws at random',
    pattern: /\bnew Date\(\s*\)|\bDate\.now\(|\bMath\.random\b/,
    places: ['src/clock.ts', 'src/cli.ts'],
  },
];

interface Import {
  from: string;
  dynamic: boolean;
  typeOnly: boolean;
}

const isIn = (file: string, places: readonly string[]): boolean =>
  places.some((place) => (place.endsWith('/') ? file.startsWith(place) : file === place));

const floorOf = (file: string): number => rooms.findIndex(([, places]) => isIn(file, places));

/** Comments blanked; strings kept, because `//` in one is no comment. */
const withoutComments = (source: string): string =>
  source.replace(
    /('(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`)|\/\/[^\n]*|\/\*[\s\S]*?\*\//g,
    (_, text: string | undefined) => text ?? ' ',
  );

function importsOf(code: string): Import[] {
  const named =
    /^\s*(?:import|export)\s+(type\s+)?(?:[\w$*{][^;'"`]*?\sfrom\s*|\*\s*from\s*)?['"]([^'"]+)['"]/gm;
  const called = /(typeof\s+)?\bimport\(\s*['"`]([^'"`]+)['"`]/g;
  const read = (pattern: RegExp, dynamic: boolean): Import[] =>
    [...code.matchAll(pattern)].map(([, type, from = '']) => ({
      from,
      dynamic,
      typeOnly: type !== undefined,
    }));
  return [...read(named, false), ...read(called, true)];
}

const doorOf = (specifier: string): string | undefined =>
  Object.keys(doors).find((name) => specifier === name || specifier.startsWith(`${name}/`));

/** What `file` (relative to the top level) does that it must not, each as one line. */
function violations(file: string, source: string): string[] {
  const code = withoutComments(source);
  const floor = floorOf(file);
  if (floor === -1) return [`${file} is in no room of the house`];

  const found = importsOf(code).flatMap((one) => importViolations(file, floor, one));
  for (const { what, pattern, places } of habits)
    if (pattern.test(code) && !isIn(file, places)) found.push(`${file} ${what}`);
  return found;
}

function importViolations(file: string, floor: number, { from, dynamic, typeOnly }: Import): string[] {
  if (from.startsWith('.')) {
    const imported = path.posix.join(path.posix.dirname(file), from);
    if (!imported.startsWith('src/') || floorOf(imported) <= floor) return [];
    return [`${file} imports upwards: ${imported}`];
  }
  const name = doorOf(from);
  const door = name === undefined ? undefined : doors[name];
  if (!door) return [];
  const found: string[] = [];
  if (!isIn(file, door.places))
    found.push(`${file} imports ${from}, which only ${door.places.join(', ')} may`);
  if (door.heavy && !dynamic && !typeOnly)
    found.push(`${file} loads ${from} at once: await import it where it is used`);
  return found;
}

test('every file of src/ keeps the rules', () => {
  const files = readdirSync(path.join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => path.posix.join('src', file.split(path.sep).join('/')))
    .sort();
  expect(files).toContain('src/secret.ts');
  expect(files.flatMap((file) => violations(file, readFileSync(path.join(root, file), 'utf8')))).toEqual([]);
});

describe('the rules see', () => {
  test.each<[string, string, string, string]>([
    [
      'an upward import',
      'src/state/a.ts',
      `import { x } from '../engine/x.ts';`,
      'imports upwards: src/engine/x.ts',
    ],
    [
      'an upward type import',
      'src/errors.ts',
      `import type { X } from './manifests/model.ts';`,
      'imports upwards',
    ],
    ['an upward export', 'src/targets/a.ts', `export * from '../engine/x.ts';`, 'imports upwards'],
    [
      'an upward dynamic import',
      'src/git/a.ts',
      `const x = await import('../targets/x.ts');`,
      'imports upwards',
    ],
    [
      'an upward import over lines',
      'src/git/a.ts',
      `import {\n  a,\n  b,\n} from '../run.ts';`,
      'imports upwards: src/run.ts',
    ],
    ['an upward import for its effect', 'src/git/a.ts', `import '../cli.ts';`, 'imports upwards: src/cli.ts'],
    ['a file without a room', 'src/helpers.ts', '', 'in no room'],
    ['an SDK elsewhere', 'src/engine/a.ts', `const pg = await import('pg');`, 'imports pg, which only'],
    [
      "an SDK's types elsewhere",
      'src/engine/a.ts',
      `import type { P } from 'mysql2/promise';`,
      'imports mysql2/promise',
    ],
    ['an SDK in a neighbouring driver', 'src/targets/mysql/a.ts', `await import('pg');`, 'imports pg'],
    [
      'a heavy SDK loaded at once',
      'src/targets/mysql/a.ts',
      `import mysql from 'mysql2/promise';`,
      'loads mysql2/promise at once',
    ],
    [
      'a heavy scoped SDK loaded at once',
      'src/output/a.ts',
      `import { confirm } from '@inquirer/prompts';`,
      'at once',
    ],
    ['plaintext in the engine', 'src/engine/a.ts', 'log(value.reveal());', 'reveals a secret'],
    ['plaintext in a command', 'src/commands/list.ts', 'secret\n  .reveal()', 'reveals a secret'],
    ['an exit', 'src/commands/list.ts', 'process.exit(1);', 'calls process.exit'],
    ['the clock', 'src/engine/a.ts', 'const now = new Date();', 'reads the clock'],
    ['the clock in milliseconds', 'src/git/a.ts', 'const url = "https://x"; Date.now();', 'reads the clock'],
    ['chance', 'src/password.ts', 'Math.random()', 'reads the clock or draws at random'],
  ])('%s', (_, file, source, expected) => {
    expect(violations(file, source)).toEqual([expect.stringContaining(expected)]);
  });

  test.each<[string, string, string]>([
    ['a downward import', 'src/engine/a.ts', `import { x } from '../state/x.ts';`],
    ['a neighbour', 'src/engine/a.ts', `import { x } from './x.ts';`],
    ['an SDK at its door', 'src/targets/postgresql/a.ts', `const { Client } = await import('pg');`],
    ["a heavy SDK's types at its door", 'src/age/age.ts', `import type { Encrypter } from 'age-encryption';`],
    ['typeof import at its door', 'src/targets/ssh/a.ts', `type S = typeof import('ssh2');`],
    ['a light SDK at its door', 'src/manifests/a.ts', `import { parseDocument } from 'yaml';`],
    ['a package whose name begins alike', 'src/engine/a.ts', `import limit from 'pg-limit';`],
    ['a comment', 'src/engine/a.ts', `// never process.exit, Date.now() or x.reveal()\n/** new Date() */`],
    ['an exit code', 'src/run.ts', 'process.exitCode = 1;'],
    ['a date of something', 'src/engine/a.ts', 'new Date(now.getTime())'],
    ['plaintext at a target', 'src/targets/mysql/a.ts', 'connect(password.reveal());'],
  ])('nothing wrong with %s', (_, file, source) => {
    expect(violations(file, source)).toEqual([]);
  });
});
