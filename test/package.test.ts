import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import {
  armor,
  Decrypter,
  generateHybridIdentity,
  generateX25519Identity,
  identityToRecipient,
} from 'age-encryption';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

/** What `npm install keyturn` gives: only what is packed, built, beside its own dependencies. */

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const manifest: { version: string } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const env = {
  ...process.env,
  PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}`,
  NO_COLOR: '1',
};

let folder: string;

function npm(...args: string[]): string {
  return execFileSync('npm', args, { cwd: root, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function keyturn(cwd: string, ...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(join(folder, 'node_modules', '.bin', 'keyturn'), args, { cwd, env, encoding: 'utf8' });
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'keyturn-package-'));
  const [packed] = JSON.parse(npm('pack', '--json', '--silent', '--pack-destination', folder));
  npm(
    'install',
    '--prefix',
    folder,
    '--ignore-scripts',
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    join(folder, packed.filename),
  );
}, 120_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the packed keyturn', () => {
  test('says its version', () => {
    expect(keyturn(folder, '--version')).toMatchObject({ status: 0, stdout: `${manifest.version}\n` });
  });

  test('validates an example by its own schemas', () => {
    const repository = join(folder, 'quickstart');
    cpSync(join(folder, 'node_modules', 'keyturn', 'examples', 'quickstart'), repository, {
      recursive: true,
    });
    expect(keyturn(repository, 'validate')).toMatchObject({
      status: 0,
      stderr: 'keyturn: valid: 3 targets, 1 role, 6 secrets\n',
    });
  });

  test('says of a wrong manifest what the sources say, with schemas compiled ahead', () => {
    const repository = join(folder, 'wrong');
    cpSync(join(root, 'examples', 'quickstart'), repository, { recursive: true });
    const file = join(repository, 'manifests', 'wrong.yaml');
    writeFileSync(
      file,
      `apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: a, tags: [x, x], descripton: a }
spec: { target: [], schedule: { every: 1x, hour: 25 }, initial: { password: hunter2 }, keep: 0 }
`,
    );
    const packed = keyturn(repository, 'validate');
    const sources = spawnSync(process.execPath, [join(root, 'src', 'cli.ts'), 'validate'], {
      cwd: repository,
      env,
      encoding: 'utf8',
    });
    expect(packed.stderr.split('\n').length).toBeGreaterThan(12);
    expect(packed).toMatchObject({ status: 1, stderr: sources.stderr });
  });

  describe('parses manifests', () => {
    const dist = () => join(folder, 'node_modules', 'keyturn', 'dist');
    const repository = (count: number): string => {
      const made = mkdtempSync(join(folder, 'repository-'));
      cpSync(join(root, 'examples', 'quickstart'), made, { recursive: true });
      for (let n = 0; n < count; n++)
        writeFileSync(join(made, 'manifests', `empty-${n}.yaml`), '# nothing\n');
      return made;
    };
    /** With code that runs before it. */
    const after = (code: string, cwd: string, ...args: string[]) => {
      const first = `data:text/javascript,${encodeURIComponent(code)}`;
      const all = ['--import', first, join(dist(), 'cli.js'), ...args];
      return spawnSync(process.execPath, all, { cwd, env, encoding: 'utf8' });
    };

    test.each([
      ['nothing to parse', 0, '--help', false],
      ['few', 450, 'validate', false],
      ['many', 700, 'validate', availableParallelism() > 1],
    ])('and thinks of threads only where they pay: %s', (_, count, command, thinks) => {
      const loaded = `process.moduleLoadList.includes('NativeModule worker_threads')`;
      const said = after(
        `process.on('exit', () => process.stderr.write('threads: ' + ${loaded}));`,
        repository(count),
        command,
      );
      expect(said).toMatchObject({ status: 0, stderr: expect.stringContaining(`threads: ${thinks}`) });
    });

    test.skipIf(availableParallelism() === 1)('by a thread whose program is packed too', async () => {
      const made = repository(700);
      const { stderr } = after(
        `const threads = process.getBuiltinModule('node:worker_threads');
        const { Worker } = threads;
        threads.Worker = class extends Worker {
          constructor(script, options) {
            super(script, options);
            process.stderr.write('thread: ' + script + '\\n');
          }
        };`,
        made,
        'validate',
      );
      const script = pathToFileURL(join(realpathSync(dist()), 'worker.js'));
      expect(stderr).toContain(`thread: ${script}\n`);
      const file = join(made, 'manifests', 'one.yaml');
      writeFileSync(file, '# nothing\n---\na: 1\n');
      const work = { locations: [file], size: 1, next: new Int32Array(new SharedArrayBuffer(4)) };
      const [answer] = await once(new Worker(script, { workerData: work }), 'message');
      expect(answer).toEqual({ portion: 0, files: [[{ index: 0, line: 3, column: 1, value: { a: 1 } }]] });
    });
  });

  test('loads the code of age and of git when it is asked for', () => {
    const project = mkdtempSync(join(folder, 'project-'));
    const made = keyturn(project, 'keygen', '--out', 'identity');
    expect(made.status).toBe(0);
    expect(readFileSync(join(project, 'identity'), 'utf8')).toMatch(/^AGE-SECRET-KEY-1/m);
    const listed = keyturn(join(folder, 'quickstart'), 'list', '--identity', join(project, 'identity'));
    expect(listed.stderr).toContain('keyturn: error: ');
    expect(listed.stderr).not.toContain('internal error');
  });

  test.each([
    ['post-quantum', generateHybridIdentity],
    ['classical', generateX25519Identity],
  ])('seals to a %s key with algorithms that are set up on first use', async (_, generate) => {
    const identity = await generate();
    const project = mkdtempSync(join(folder, 'project-'));
    writeFileSync(
      join(project, 'keyturn.yaml'),
      `apiVersion: keyturn/v1
kind: Project
metadata: { name: a }
spec: { reconcilers: [${await identityToRecipient(identity)}] }
`,
    );
    const bin = join(folder, 'node_modules', '.bin', 'keyturn');
    const sealed = spawnSync(bin, ['seal'], {
      cwd: project,
      env,
      encoding: 'utf8',
      input: 'hunter2-hunter2',
    });
    const [text] = /-----BEGIN[^"]*-----END AGE ENCRYPTED FILE-----/.exec(sealed.stdout) ?? [''];
    const decrypter = new Decrypter();
    decrypter.addIdentity(identity);
    expect(await decrypter.decrypt(armor.decode(text.replaceAll(/^ +/gm, '')), 'text')).toBe(
      'hunter2-hunter2',
    );
  });

  test('speaks SSH although no script built the native parts', () => {
    const code = `const { default: { utils } } = await import('ssh2'); console.log(utils.generateKeyPairSync('ed25519').public.slice(0, 11));`;
    const args = ['--input-type=module', '-e', code];
    expect(execFileSync(process.execPath, args, { cwd: folder, encoding: 'utf8' })).toBe('ssh-ed25519\n');
  });

  test('gives authors of rotators a typed helper that loads nothing else of keyturn', () => {
    const project = mkdtempSync(join(folder, 'rotator-'));
    writeFileSync(
      join(project, 'rotator.mts'),
      [
        `import { memoryAnswers, type RotatorRules, verifyRequest } from 'keyturn/rotator';`,
        `const rules: RotatorRules = { trust: { keys: { keys: [] } }, audience: 'x', answers: memoryAnswers() };`,
        `const verdict = await verifyRequest({ method: 'POST', headers: {}, body: new Uint8Array() }, rules);`,
        `const status: 'new' | number = verdict.r === 'new' ? verdict.r : verdict.reply.status;`,
        'console.log(status);',
      ].join('\n'),
    );
    const tsc = join(root, 'node_modules', '.bin', 'tsc');
    const types = join(root, 'node_modules', '@types');
    const options = [
      '--module',
      'nodenext',
      '--strict',
      '--types',
      'node',
      '--typeRoots',
      types,
      'rotator.mts',
    ];
    const compiled = spawnSync(tsc, options, { cwd: project, env, encoding: 'utf8' });
    expect(compiled).toMatchObject({ status: 0, stdout: '' });
    expect(execFileSync(process.execPath, ['rotator.mjs'], { cwd: project, encoding: 'utf8' })).toBe('401\n');
    const built = join(folder, 'node_modules', 'keyturn', 'dist', 'rotator');
    const imports = readdirSync(built)
      .filter((file) => file.endsWith('.js'))
      .flatMap((file) => [...readFileSync(join(built, file), 'utf8').matchAll(/from ["'](.+?)["']/g)])
      .map(([, from]) => from);
    expect(new Set(imports.filter((from) => !from?.startsWith('./') && !from?.startsWith('node:')))).toEqual(
      new Set(['jose']),
    );
  });

  test("pins init's workflows to the commit that the release job wrote into it", () => {
    const commit = '0123456789'.repeat(4);
    const release = join(folder, 'node_modules', 'keyturn', 'release.json');
    writeFileSync(release, JSON.stringify({ action: 'acme/keyturn', commit }));
    const project = mkdtempSync(join(folder, 'project-'));
    const home = { ...env, HOME: project };
    const bin = join(folder, 'node_modules', '.bin', 'keyturn');
    expect(spawnSync(bin, ['init'], { cwd: project, env: home }).status).toBe(0);
    const workflow = readFileSync(join(project, '.github', 'workflows', 'keyturn-apply.yml'), 'utf8');
    expect(workflow).toContain(`- uses: acme/keyturn@${commit} # v${manifest.version}\n`);
  });
});
