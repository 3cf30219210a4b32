import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';

/** The first thing that a stranger runs, as they run it. */

const script = fileURLToPath(new URL('../examples/quickstart/run.ts', import.meta.url));
const patience = 180_000;

let scratch: string;

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'keyturn-stranger-'));
  // The servers that it starts may run as somebody else.
  chmodSync(scratch, 0o755);
});

afterEach(() => rmSync(scratch, { recursive: true, force: true }));

/** Its exit code and all that it said; `interrupt` is sent SIGINT when it has said that. */
async function quickstart(interrupt?: string): Promise<{ code: number | null; said: string }> {
  const child = spawn(process.execPath, [script], {
    env: { ...process.env, TMPDIR: scratch },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  const listen = (text: string) => {
    const before = said;
    said += text;
    if (interrupt !== undefined && !before.includes(interrupt) && said.includes(interrupt))
      child.kill('SIGINT');
  };
  child.stdout.setEncoding('utf8').on('data', listen);
  child.stderr.setEncoding('utf8').on('data', listen);
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, said })));
}

test('everything holds, every password changes, and nothing is left behind', {
  timeout: patience,
}, async () => {
  const { code, said } = await quickstart();
  expect({ code, said }).toEqual({ code: 0, said: expect.stringContaining('# Everything held') });
  expect(said).toContain('PostgreSQL: shop_a with shop-by-hand-1: refused');
  expect(said).toContain('guestbook: mailer with mailer-by-hand-1: refused');
  expect(said).toContain('nothing to do: ');
  expect(readdirSync(scratch)).toEqual([]);
});

test.each([
  ['while the servers start', '# A scratch git remote'],
  ['in the middle of an apply', ': preflight'],
])('interrupted %s it leaves nothing behind either', { timeout: patience }, async (_, moment) => {
  const { code, said } = await quickstart(moment);
  expect(code).not.toBe(0);
  expect(said).not.toContain('# Everything held');
  expect(readdirSync(scratch)).toEqual([]);
});
