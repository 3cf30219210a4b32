/** The process itself: how it ends when something comes up that nobody waits for, and what a core dump of it would hold. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const word = 'zq7-what-nobody-may-see';

/** `keyturn seal` waits for its stdin; `also` is code that runs beside it. */
function sealing(also = ''): { child: ReturnType<typeof spawn>; said: () => string } {
  const beside = `data:text/javascript,${encodeURIComponent(also)}`;
  const child = spawn(process.execPath, ['--import', beside, join(root, 'src/cli.ts'), 'seal'], {
    cwd: join(root, 'examples', 'quickstart'),
    env: { PATH: process.env.PATH, HOME: root, NO_COLOR: '1' },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (bytes) => {
      said += bytes;
    });
  return { child, said: () => said };
}

describe('a process of keyturn', () => {
  it.each([
    ['an exception', `setTimeout(() => { throw new TypeError('${word}') }, 200)`],
    ['a rejection', `setTimeout(() => Promise.reject(new TypeError('${word}')), 200)`],
  ])('that ends by %s that nobody waits for says so in one sentence', async (_, code) => {
    const { child, said } = sealing(code);
    const [status] = await once(child, 'close');
    expect(status).toBe(1);
    expect(said()).toMatch(/^keyturn: internal error: TypeError\nkeyturn: hint: .*\n$/);
  });

  it('that nothing can answer any more ends and says so', async () => {
    const { child, said } = sealing(`setTimeout(() => process.stdin.unref(), 200)`);
    const [status] = await once(child, 'close');
    expect(status).toBe(1);
    expect(said()).toMatch(/^keyturn: internal error: Error\nkeyturn: hint: .*\n$/);
  });

  it.skipIf(!existsSync('/proc/self/coredump_filter'))('would leave no memory in a core dump', async () => {
    const { child } = sealing();
    const file = `/proc/${child.pid}/coredump_filter`;
    for (const deadline = performance.now() + 20_000; readFileSync(file, 'utf8') !== '00000000\n'; ) {
      expect(performance.now()).toBeLessThan(deadline);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    child.kill('SIGKILL');
    await once(child, 'close');
  });
});
