import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join as path } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readDocuments, type Threads } from '../../src/manifests/documents.ts';
import { findManifests } from '../../src/manifests/find.ts';
import { loadManifests } from '../../src/manifests/load.ts';
import { Problems } from '../../src/manifests/problems.ts';
import { complaints, join, mysql, project, secret } from './fixtures.ts';

let root: string;
const write = (name: string, text: string | Uint8Array): void => {
  mkdirSync(dirname(path(root, name)), { recursive: true });
  writeFileSync(path(root, name), text);
};
/** Written by a thread when this one may go on. */
let sign: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(path(tmpdir(), 'keyturn-threads-')));
  sign = path(root, 'sign');
  write('keyturn.yaml', project());
  write('manifests/0.yaml', mysql());
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const none: Threads = { count: 0 };

const nameOf = (n: number): string => `manifests/secrets/${String(n).padStart(3, '0')}.yaml`;

/** `count` files of one secret each, but for what `odd` has in place of some. */
function repository(count: number, odd: Record<number, string | Uint8Array> = {}): void {
  for (let n = 0; n < count; n++) write(nameOf(n), odd[n] ?? secret(`app-${n}`, `keep: ${3 + (n % 7)}`));
}

/** A thread's program; `signal()` writes the sign. */
const script = (code: string): URL => {
  const lines = [
    `import { writeFileSync } from 'node:fs';`,
    `import { parentPort, workerData } from 'node:worker_threads';`,
    `const signal = (text = '') => writeFileSync(${JSON.stringify(sign)}, text);`,
    code,
  ];
  return new URL(`data:text/javascript,${encodeURIComponent(lines.join('\n'))}`);
};

/** The real one. */
const worker = JSON.stringify(new URL('../../src/manifests/worker.ts', import.meta.url).href);

/** As many files as are parsed before there is a thread. */
const first = 32;

/** Where nesting becomes too deep is a matter of the stack: nobody can say at which column. */
const tell = (told: unknown): string =>
  inspect(told, { depth: null, maxArrayLength: null }).replace(/\d+(?=: \S+: nested too deeply)/, 'n');

/** All that readDocuments tells, and the files that it asked the main thread for. */
async function read(
  threads: Threads,
  waits = false,
): Promise<{ told: string; complete: boolean; asked: string[] }> {
  const problems = new Problems();
  const asked: string[] = [];
  const files = findManifests(root, problems).map((file) => ({
    ...file,
    text: () => {
      asked.push(file.path);
      if (waits && asked.length === first + 1) awaitSign();
      return file.text();
    },
  }));
  // gone once it is looked for
  rmSync(path(root, nameOf(500)), { force: true });
  const { documents, complete } = await readDocuments(files, problems, threads);
  const before = [...asked];
  const data = documents.map(({ at, ...rest }) => ({ ...rest, top: at(''), name: at('/metadata/name') }));
  const wrong = await complaints(Promise.resolve().then(() => problems.throwIfAny()));
  return { told: tell([data, wrong]), complete, asked: before };
}

/** Holds the main thread, as a long file would. */
function awaitSign(): void {
  for (const deadline = performance.now() + 20_000; !existsSync(sign); )
    expect(performance.now()).toBeLessThan(deadline);
}

const odd: Record<number, string | Uint8Array> = {
  640: 'kind: [\n',
  641: 'a: &x [1]\nb: *x\n',
  642: `${secret('twice')}  keep: 1\n  keep: 2\n`,
  643: 'a: !env HOME\n',
  644: `# ${'x'.repeat(1024 * 1024)}`,
  645: Uint8Array.of(0x61, 0x3a, 0x20, 0xe4),
  646: join(secret('good'), 'a: b: c\n', secret('good-too')),
  647: '['.repeat(20_000),
  648: '%YAML 1.1\n---\na: yes\n',
  660: '',
  661: '# nothing\n---\n---\n# nothing\n',
  662: join('# nothing\n', secret('second'), '# nothing\n', secret('fourth')),
  663: 'just a word',
  664: '- 1\n- two\n',
  665: 'null',
  670: 'a: { __proto__: { b: 1 }, toString: 1, constructor: x }\n__proto__: 1\n',
  671: 'a: { __proto__: { b: 1 }, toString: 1, constructor: x }\n__proto__: 1\n',
  672: 'a: [.nan, .inf, -.inf, -0, -0.0, 0o17, 0xff, 1e400, 1e3, 12345678901234567890, ~, yes, true]',
  673: 'a: "\\ud83d \\0 \\u2028 ä"\nb: |\n  one\n  two\n"1": x\n1.5: y\n? \n: z\n',
  674: `\uFEFF${secret('marked')}`,
  675: secret('windows').replaceAll('\n', '\r\n'),
};

let alone: ReturnType<typeof read> | undefined;

/** What `odd` is without threads: found out once, because it takes longest. */
async function withoutThreads(): ReturnType<typeof read> {
  alone ??= read(none);
  await alone;
  write(nameOf(500), secret('app-500'));
  return alone;
}

describe('files parsed by threads', () => {
  it.each([1, 3])('tell what they do without, of mistakes too: %d', async (count) => {
    repository(700, odd);
    const alone = await withoutThreads();
    const helped = await read({ count, script: script(`await import(${worker});\nsignal();`) }, true);
    expect(helped.told).toBe(alone.told);
    expect(helped.complete).toBe(false);
    expect(alone.told).toContain('app-699');
    expect(alone.asked).toHaveLength(702);
    const wrong = [500, 640, 641, 642, 643, 644, 645, 646, 647, 648].map(nameOf);
    expect(helped.asked).toEqual(expect.arrayContaining(wrong));
    expect(helped.asked.length).toBeLessThanOrEqual(2 * first + wrong.length);
  });

  it('are the same desired state, or the same mistakes in it', async () => {
    const load = (threads: Threads) => loadManifests(root, { env: {}, threads });
    const threads = { count: 2 };
    repository(700);
    const alone = tell(await load(none));
    expect(tell(await load(threads))).toBe(alone);
    expect(alone).toContain('app-699');
    repository(700, odd);
    const mistakes = await complaints(load(none));
    expect(tell(await complaints(load(threads)))).toBe(tell(mistakes));
    expect(mistakes.length).toBeGreaterThan(14);
  });
});

describe('a thread', () => {
  const taking = 'const portion = Atomics.add(workerData.next, 0, 1);\nsignal();\n';
  it.each([
    ['does not start', `throw new Error('no');`, false],
    ['dies of a portion', `${taking}throw new Error('no');`, true],
    ['exits in the midst of one', `${taking}process.exit(3);`, true],
    ['rejects', `${taking}await Promise.reject(new Error('no'));`, true],
    ['answers that it could read none', `${taking}parentPort.postMessage({ portion, files: [] });`, true],
  ])('that %s leaves its files to the main thread', async (_, code, waits) => {
    repository(700, odd);
    const alone = await withoutThreads();
    const helped = await read({ count: 2, script: script(code) }, waits);
    expect(helped.told).toBe(alone.told);
    expect(helped.asked).toHaveLength(702);
  });

  it('knows nothing of the environment and of how this process was started', async () => {
    process.env.KEYTURN_TEST_SECRET = 'zq7-what-nobody-may-see';
    repository(700);
    const said = 'signal(JSON.stringify([process.env, process.argv.slice(2), process.execArgv]));';
    await read({ count: 1, script: script(said) }, true);
    delete process.env.KEYTURN_TEST_SECRET;
    expect(JSON.parse(readFileSync(sign, 'utf8'))).toEqual([{}, [], []]);
  });
});
