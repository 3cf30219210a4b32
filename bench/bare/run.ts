import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Run } from '../measure.ts';

/**
 * One of these programs as a process of its own, over accounts whose passwords it changes and tells. The accounts are
 * its own, so that nobody's password is wrong for keyturn.
 */
export async function bareLoop(
  name: 'aws' | 'mysql' | 'ssh',
  job: object,
  accounts: Map<string, string>,
  count: number,
): Promise<Run> {
  const program = fileURLToPath(new URL(`${name}.ts`, import.meta.url));
  const started = performance.now();
  const child = spawn(process.execPath, [program], { stdio: ['pipe', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', (bytes: Buffer) => {
    out += bytes.toString();
  });
  child.stdin.end(JSON.stringify({ ...job, accounts: [...accounts].slice(0, count) }));
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`${name} ended with ${code}`))));
  });
  const milliseconds = performance.now() - started;
  for (const [user, password] of JSON.parse(out)) accounts.set(user, password);
  return { milliseconds, peak: 0 };
}
