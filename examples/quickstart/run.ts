/**
 * `npm run quickstart`: tells `story.ts` in a scratch folder and a process group of its own, and takes both away
 * when it has ended, however that was: Ctrl-C in the middle of a server's first start leaves nothing either.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const patience = 5_000;
const storyFile = fileURLToPath(new URL('story.ts', import.meta.url));

// Servers that refuse to be root run as somebody else, who must be able to pass through and read.
process.umask(0o022);
const scratch = mkdtempSync(join(tmpdir(), 'keyturn-quickstart-'));
chmodSync(scratch, 0o755);
mkdirSync(join(scratch, 'tmp'));
/** Started by root, PostgreSQL runs as `postgres`, a user that is made where there is none. */
const newcomer = process.getuid?.() === 0 && !exists('postgres');

const story = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', storyFile, scratch], {
  detached: true,
  stdio: ['ignore', 'inherit', 'inherit'],
  env: { ...process.env, TMPDIR: join(scratch, 'tmp') },
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => {
    tell('SIGTERM');
    setTimeout(() => tell('SIGKILL'), 2 * patience).unref();
  });
const [code] = await once(story, 'exit');
// A server that is cut off in its first start needs a moment to give its shared memory back.
tell('SIGTERM');
for (const deadline = performance.now() + patience; tell(0) && performance.now() < deadline; )
  await new Promise((resolve) => setTimeout(resolve, 20));
tell('SIGKILL');
rmSync(scratch, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
if (newcomer && exists('postgres')) quietly('userdel', '-f', 'postgres');
process.exitCode = typeof code === 'number' ? code : 130;

/** To the story and to whatever it started; false when none of them is left. */
function tell(signal: 'SIGTERM' | 'SIGKILL' | 0): boolean {
  try {
    return story.pid !== undefined && process.kill(-story.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

function exists(user: string): boolean {
  return quietly('id', user);
}

function quietly(program: string, ...args: string[]): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
