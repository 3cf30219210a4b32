import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { type Console, createConsole } from '../../src/output/console.ts';
import { Secret } from '../../src/secret.ts';
import { Captured, capture, terminalActive } from './fixture.ts';

const esc = String.fromCharCode(27);
const folders: string[] = [];
const folder = () => {
  const made = mkdtempSync(join(tmpdir(), 'keyturn-console-'));
  folders.push(made);
  return made;
};
afterEach(() => {
  for (const made of folders.splice(0)) rmSync(made, { recursive: true });
});

/** Every way out but `value`. */
const writers: Record<string, (console: Console, text: string) => void> = {
  data: (console, text) => console.data(text),
  words: (console, text) => console.words(text),
  warn: (console, text) => console.warn(text),
  command: (console, text) =>
    console.command({ name: 'warning', properties: { title: text }, message: text }),
  summary: (console, text) => console.summary(text),
};

describe('createConsole', () => {
  test('data goes to stdout, words and warnings to stderr, each line ended once', () => {
    const { console, stdout, stderr } = capture();
    console.data('{}');
    console.data('two\n');
    console.words('pushed');
    console.warn('careful\n');
    expect(stdout.text).toBe('{}\ntwo\n');
    expect(stderr.text).toBe('pushed\ncareful\n');
  });

  test('quiet keeps words, not warnings or data', () => {
    const { console, stdout, stderr } = capture({ quiet: true, env: { GITHUB_ACTIONS: 'true' } });
    console.words('pushed');
    console.command({ name: 'group', message: 'a' });
    console.command({ name: 'endgroup', message: '' });
    console.warn('careful');
    console.command({ name: 'warning', message: 'b' });
    console.data('x');
    expect(stdout.text).toBe('x\n');
    expect(stderr.text).toBe('careful\n::warning::b\n');
  });

  test.each(Object.keys(writers))('%s lets no known value out, in any form', (name) => {
    const value = `Canary-${name}-"1 2"`;
    const text = [
      new Secret(value).reveal(),
      Buffer.from(value).toString('base64'),
      Buffer.from(value).toString('hex'),
      encodeURIComponent(value),
      JSON.stringify(value).slice(1, -1),
      // Taken apart by what is stripped, it would come together again.
      `Canary-\u0007${name}-\u200b"1 2"`,
      `Canary-${esc}[31m${name}-"1 2"`,
    ].join(' ; ');
    const file = join(folder(), 'summary.md');
    const env = { GITHUB_ACTIONS: 'true', GITHUB_STEP_SUMMARY: file, FORCE_COLOR: '' };
    const { console, stdout, stderr } = capture({ env });
    writers[name]?.(console, text);
    const all = stdout.text + stderr.text + (name === 'summary' ? readFileSync(file, 'utf8') : '');
    expect(all.match(/\[secret\]/gu)?.length).toBeGreaterThanOrEqual(7);
    expect(all).not.toContain('Canary');
    expect(all).not.toContain(Buffer.from(value).toString('base64'));
  });

  test('value writes exactly the bytes, nothing else does', () => {
    const { console, stdout, stderr } = capture({ env: { GITHUB_ACTIONS: 'true' } });
    const value = new Secret('::raw-\u001b[31m-value').reveal();
    console.value(value);
    expect(stdout.text).toBe(value);
    expect(stderr.text).toBe('');
  });

  test('no text makes a terminal act', () => {
    const hostile = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc
        .array(
          fc.constantFrom(
            '\u001b',
            '[',
            '31m',
            '2J',
            ']0;t',
            '\u0007',
            '\u009b',
            '\r',
            '\u202e',
            'a',
            '\n',
            '8m',
          ),
        )
        .map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(hostile, (text) => {
        const plain = capture();
        plain.console.data(text);
        plain.console.words(text);
        plain.console.warn(text);
        expect(plain.stdout.text + plain.stderr.text).not.toMatch(/(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);

        // With colours on, the colours of our renderers are all that may remain.
        const coloured = capture({ env: { FORCE_COLOR: '1' } });
        coloured.console.words(text);
        const rest = coloured.stderr.text.replaceAll(new RegExp(`${esc}\\[3[0-7]m`, 'gu'), '');
        expect(rest.replaceAll('\t', '')).not.toMatch(terminalActive);
      }),
      { numRuns: 500 },
    );
  });

  test('colours pass where they are wanted, concealed text never', () => {
    const text = `${esc}[31mred${esc}[39m ${esc}[8mhidden${esc}[0m`;
    const coloured = capture({ tty: true });
    coloured.console.data(text);
    expect(coloured.stdout.text).toBe(`${esc}[31mred${esc}[39m hidden${esc}[0m\n`);
    const plain = capture();
    plain.console.data(text);
    expect(plain.stdout.text).toBe('red hidden\n');
  });

  test.each([
    [{}, true, false, true],
    [{}, false, false, false],
    [{ NO_COLOR: '1' }, true, false, false],
    [{ NO_COLOR: '' }, true, false, true],
    [{ NO_COLOR: '1', FORCE_COLOR: '1' }, true, false, false],
    [{ FORCE_COLOR: '1' }, false, false, true],
    [{ FORCE_COLOR: '0' }, true, false, false],
    [{ TERM: 'dumb' }, true, false, false],
  ])('colour with %j on a terminal (%s)', (env, tty, json, expected) => {
    expect(capture({ env, tty, json }).console.color).toEqual({ data: expected, words: expected });
    expect(capture({ env, tty, json: true }).console.color).toEqual({ data: false, words: expected });
  });

  test('inside GitHub Actions only command() speaks to the runner', () => {
    const text = '::stop-commands::x\n \t::error::y\na ::z\n##[add-mask]q';
    const inside = capture({ env: { GITHUB_ACTIONS: 'true' } });
    inside.console.words(text);
    inside.console.command({ name: 'notice', message: 'real' });
    expect(inside.stderr.text).toBe(
      ': :stop-commands::x\n \t: :error::y\na ::z\n## [add-mask]q\n::notice::real\n',
    );
    const outside = capture();
    outside.console.words(text);
    outside.console.command({ name: 'notice', message: 'real' });
    expect(outside.stderr.text).toBe(`${text}\n`);
  });

  test('summaries are appended, a file that cannot be written is only a warning', () => {
    const file = join(folder(), 'summary.md');
    const { console } = capture({ env: { GITHUB_ACTIONS: 'true', GITHUB_STEP_SUMMARY: file } });
    console.summary('a');
    console.summary('b');
    expect(readFileSync(file, 'utf8')).toBe('a\nb\n');

    const missing = join(folder(), 'none', 'summary.md');
    const other = capture({ env: { GITHUB_ACTIONS: 'true', GITHUB_STEP_SUMMARY: missing } });
    other.console.summary('a');
    expect(other.stderr.text).toBe('warning: job summary: cannot be written (ENOENT)\n');
  });

  test('a closed pipe is forgiven, another error is not', () => {
    const stdout = new PassThrough();
    createConsole({ stdout, stderr: new Captured(), env: {}, quiet: false, json: false });
    expect(stdout.emit('error', Object.assign(new Error('closed'), { code: 'EPIPE' }))).toBe(true);
    const full = Object.assign(new Error('full'), { code: 'ENOSPC' });
    expect(() => stdout.emit('error', full)).toThrow('full');
  });
});

describe('live', () => {
  test('is redrawn below what is said meanwhile, and leaves nothing', async () => {
    const { console, stderr } = capture({ tty: true, env: { NO_COLOR: '1' } });
    const live = await console.live();
    live?.show(['a', 'b\u001b]0;x\u0007']);
    console.words('said');
    live?.end();
    console.words('after');
    const up = `${esc}[2K${esc}[1A`;
    const frame = `${esc}[?2026ha\nb\n${esc}[?2026l`;
    const erased = `${esc}[?2026h${up}${up}${esc}[2K${esc}[G${esc}[?2026l`;
    expect(stderr.text).toBe(`${frame}${erased}said\n${frame}${erased}after\n`);
  });

  test('is not for pipes, quiet, json, dumb terminals or CI', async () => {
    expect(await capture().console.live()).toBeNull();
    expect(await capture({ tty: true, quiet: true }).console.live()).toBeNull();
    expect(await capture({ tty: true, json: true }).console.live()).toBeNull();
    expect(await capture({ tty: true, env: { TERM: 'dumb' } }).console.live()).toBeNull();
    expect(await capture({ tty: true, env: { GITHUB_ACTIONS: 'true' } }).console.live()).toBeNull();
  });
});
