import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Event, Result } from '../../src/engine/model.ts';
import { createProgress } from '../../src/output/progress.ts';
import { renderResultsMarkdown } from '../../src/output/results-markdown.ts';
import { Secret } from '../../src/secret.ts';
import { capture, result, terminalActive, tickingClock } from './fixture.ts';

const esc = String.fromCharCode(27);
const commit = '1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d';

const done = result({});
const waiting = result({
  secret: 'prod/mysql/billing',
  outcome: 'waiting',
  version: 5,
  detail: 'db.internal does not answer',
  hint: 'run keyturn apply again',
  left: 'unknown',
});
const events: Event[] = [
  { kind: 'step', secret: 'prod/mysql/reporting', step: 'claim', version: 8 },
  {
    kind: 'pushed',
    subject: 'keyturn: claim 2 secrets',
    serial: 42,
    commit,
    secrets: ['prod/mysql/reporting', 'prod/mysql/billing'],
  },
  { kind: 'step', secret: 'prod/mysql/reporting', step: 'set', version: 8 },
  { kind: 'note', level: 'warning', secret: 'prod/mysql/reporting', text: 'grants differ' },
  { kind: 'note', level: 'info', secret: null, text: 'another run pushed first' },
  { kind: 'done', result: waiting },
  { kind: 'done', result: done },
  {
    kind: 'pushed',
    subject: 'keyturn: promote 1 secret',
    serial: 43,
    commit,
    secrets: ['prod/mysql/reporting'],
  },
];

describe('plain progress', () => {
  test('is a line an event with its time, then what was not done, then the counts', () => {
    const { console, stdout, stderr } = capture();
    const progress = createProgress(console, { tty: false, clock: tickingClock() });
    for (const event of events) progress.on(event);
    progress.end([done, waiting]);
    expect(stdout.text).toBe('');
    expect(stderr.text).toBe(`\
12:03:04Z prod/mysql/reporting v8: claim
12:03:05Z pushed 1a2b3c4 keyturn: claim 2 secrets
12:03:06Z prod/mysql/reporting v8: set
warning: prod/mysql/reporting: grants differ
12:03:08Z another run pushed first
12:03:09Z prod/mysql/billing v5: waiting, db.internal does not answer
12:03:10Z prod/mysql/reporting v8: rotated
12:03:11Z pushed 1a2b3c4 keyturn: promote 1 secret
waiting: prod/mysql/billing v5: db.internal does not answer
  hint: run keyturn apply again
apply: 1 rotated, 1 waiting, 0 failed
`);
  });

  test('counts every outcome', () => {
    const counts = (results: Result[]) => {
      const { console, stderr } = capture();
      createProgress(console, { tty: false, clock: tickingClock() }).end(results);
      return stderr.text.trimEnd().split('\n').at(-1);
    };
    const retired = result({ verb: 'retire', version: 4 });
    expect(counts([done, done, done, retired, waiting])).toBe(
      'apply: 3 rotated, 1 retired, 1 waiting, 0 failed',
    );
    const undone = (['skipped', 'human', 'human', 'failed'] as const).map((outcome) => result({ outcome }));
    expect(counts(undone)).toBe('apply: 0 done, 1 skipped, 2 need a human, 1 failed');
    expect(counts([])).toBe('apply: nothing to do');
  });

  test('quiet still says what needs somebody', () => {
    const { console, stderr } = capture({ quiet: true });
    const progress = createProgress(console, { tty: false, clock: tickingClock() });
    for (const event of events) progress.on(event);
    progress.end([done, result({ secret: 'a', outcome: 'skipped', detail: 'not tried' }), waiting]);
    expect(stderr.text).toBe(`\
warning: prod/mysql/reporting: grants differ
waiting: prod/mysql/billing v5: db.internal does not answer
  hint: run keyturn apply again
`);
  });
});

describe('inside GitHub Actions', () => {
  test('a group a push, warnings as annotations, a job summary', () => {
    const folder = mkdtempSync(join(tmpdir(), 'keyturn-progress-'));
    try {
      const file = join(folder, 'summary.md');
      const { console, stderr } = capture({ env: { GITHUB_ACTIONS: 'true', GITHUB_STEP_SUMMARY: file } });
      const progress = createProgress(console, { tty: false, clock: tickingClock() });
      for (const event of events) progress.on(event);
      progress.end([done, waiting]);
      expect(stderr.text).toBe(`\
12:03:04Z prod/mysql/reporting v8: claim
::group::pushed 1a2b3c4 keyturn: claim 2 secrets
  prod/mysql/reporting
  prod/mysql/billing
12:03:06Z prod/mysql/reporting v8: set
::warning::prod/mysql/reporting: grants differ
12:03:08Z another run pushed first
12:03:09Z prod/mysql/billing v5: waiting, db.internal does not answer
12:03:10Z prod/mysql/reporting v8: rotated
::endgroup::
::group::pushed 1a2b3c4 keyturn: promote 1 secret
  prod/mysql/reporting
::endgroup::
waiting: prod/mysql/billing v5: db.internal does not answer
  hint: run keyturn apply again
::warning::waiting: prod/mysql/billing v5: db.internal does not answer%0Ahint: run keyturn apply again
apply: 1 rotated, 1 waiting, 0 failed
`);
      expect(readFileSync(file, 'utf8')).toBe(`\
### keyturn

apply: 1 rotated, 1 waiting, 0 failed

| secret | result | version | detail |
| --- | --- | --- | --- |
| prod/mysql/reporting | rotated | v8 |  |
| prod/mysql/billing | waiting | v5 | db.internal does not answer (hint: run keyturn apply again) |
`);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('a summary stays below its limit', () => {
    const page = renderResultsMarkdown(Array.from({ length: 50_000 }, () => waiting));
    const rows = page.match(/^\| prod/gmu)?.length ?? 0;
    expect(page.length).toBeLessThanOrEqual(300_000);
    expect(page).toContain(`_${50_000 - rows} of the results left out here`);
  });
});

describe('on a terminal', () => {
  const untilDrawn = () => new Promise<void>((resolve) => setImmediate(resolve));

  test('a line a secret in work, redrawn, then gone', async () => {
    const { console, stderr } = capture({ tty: true, env: { NO_COLOR: '1' } });
    const progress = createProgress(console, { tty: true, clock: tickingClock() });
    progress.on({ kind: 'step', secret: 'a', step: 'claim', version: 1 });
    for (let turn = 0; turn < 1000 && stderr.text === ''; turn += 1) await untilDrawn();
    progress.on({ kind: 'step', secret: 'bb', step: 'claim', version: 12 });
    progress.on({ kind: 'step', secret: 'a', step: 'set', version: 1 });
    progress.on({ kind: 'done', result: result({ secret: 'a', version: 1 }) });
    const drawn = stderr.text;
    progress.end([result({ secret: 'a', version: 1 })]);
    expect(drawn).toContain('  a v1   claim\n');
    expect(drawn).toContain('  a v1     set');
    expect(drawn.endsWith(`a v1: rotated\n${esc}[?2026h  bb v12   claim\n${esc}[?2026l`)).toBe(true);
    expect(stderr.text.endsWith(`${esc}[?2026lapply: 1 rotated, 0 failed\n`)).toBe(true);
    expect(stderr.text).not.toMatch(/\d\d:\d\d:\d\dZ/u);
  });

  test('that cannot be redrawn gets plain lines, none lost, with the times they happened', async () => {
    const { console, stderr } = capture({ tty: true, env: { TERM: 'dumb' } });
    const progress = createProgress(console, { tty: true, clock: tickingClock() });
    progress.on({ kind: 'step', secret: 'a', step: 'claim', version: 1 });
    for (let turn = 0; turn < 1000 && stderr.text === ''; turn += 1) await untilDrawn();
    progress.on({ kind: 'step', secret: 'a', step: 'set', version: 1 });
    expect(stderr.text).toBe('12:03:04Z a v1: claim\n12:03:05Z a v1: set\n');
  });

  test('an end before the first drawing loses nothing either', async () => {
    const { console, stderr } = capture({ tty: true, env: { NO_COLOR: '1' } });
    const progress = createProgress(console, { tty: true, clock: tickingClock() });
    progress.on({ kind: 'step', secret: 'a', step: 'claim', version: 1 });
    progress.end([]);
    const text = '12:03:04Z a v1: claim\napply: nothing to do\n';
    expect(stderr.text).toBe(text);
    await import('log-update');
    await untilDrawn();
    expect(stderr.text).toBe(text);
  });
});

test('no value and no escape gets through any event', () => {
  const bad = `${new Secret('progress-value-1234').reveal()}\u001b[2J\u202e\n::error::x`;
  for (const env of [{}, { GITHUB_ACTIONS: 'true' }]) {
    const { console, stderr } = capture({ env });
    const progress = createProgress(console, { tty: false, clock: tickingClock() });
    const undone = result({ secret: bad, outcome: 'failed', detail: bad, hint: bad });
    progress.on({ kind: 'step', secret: bad, step: 'set', version: 1 });
    progress.on({ kind: 'pushed', subject: bad, serial: 1, commit, secrets: [bad] });
    progress.on({ kind: 'note', level: 'warning', secret: bad, text: bad });
    progress.on({ kind: 'done', result: undone });
    progress.end([undone]);
    expect(stderr.text).toContain('[secret]');
    expect(stderr.text).not.toContain('progress-value');
    expect(stderr.text).not.toMatch(terminalActive);
    expect(stderr.text).not.toMatch(/^\s*::error/mu);
  }
});
