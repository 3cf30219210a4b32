/** Proofs that are tests: run with more seeds than in the suite, counted by what they tally. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Row {
  what: string;
  /** What was tried, in words with numbers. */
  tried: string;
  /** Everything that went wrong, each with how to see it again. */
  lost: string[];
  seconds: number;
}

export interface Stage {
  what: string;
  /** For vitest: files and folders. */
  tests: string[];
  env: Record<string, string>;
}

interface Report {
  numPassedTests: number;
  numPendingTests: number;
  testResults: {
    name: string;
    message: string;
    status: string;
    assertionResults: { status: string; fullName: string; failureMessages: string[] }[];
  }[];
}

const root = fileURLToPath(new URL('../../', import.meta.url));

export async function runStage({ what, tests, env }: Stage): Promise<Row> {
  const began = performance.now();
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-prove-'));
  const [report, tally] = [join(folder, 'report.json'), join(folder, 'tally')];
  writeFileSync(tally, '');
  try {
    const args = ['run', ...tests, '--reporter=json', `--outputFile.json=${report}`];
    const child = spawn(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), ...args], {
      cwd: root,
      env: { ...process.env, ...env, KEYTURN_TALLY: tally },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr.on('data', (bytes) => {
      said += bytes;
    });
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    return {
      what,
      ...judged(report, tally, code, said),
      seconds: Math.round((performance.now() - began) / 1000),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function judged(
  report: string,
  tally: string,
  code: number | null,
  said: string,
): Pick<Row, 'tried' | 'lost'> {
  let read: Report;
  try {
    read = JSON.parse(readFileSync(report, 'utf8')) as Report;
  } catch {
    return { tried: 'nothing', lost: [`no test ran: ${said.slice(-2_000)}`] };
  }
  const lost = read.testResults.flatMap(({ name, status, message, assertionResults }) => {
    const failed = assertionResults.filter((one) => one.status === 'failed');
    if (failed.length === 0) return status === 'failed' ? [`${name}: ${message}`] : [];
    return failed.map((one) => `${one.fullName}: ${one.failureMessages.join('\n')}`);
  });
  if (code !== 0 && lost.length === 0) lost.push(`the tests ended with ${code}: ${said.slice(-2_000)}`);
  const counts = new Map<string, number>();
  for (const line of readFileSync(tally, 'utf8').split('\n').filter(Boolean)) {
    const { what, count } = JSON.parse(line) as { what: string; count: number };
    counts.set(what, (counts.get(what) ?? 0) + count);
  }
  const skipped = read.numPendingTests > 0 ? [`${read.numPendingTests} tests SKIPPED here`] : [];
  const tried = [
    `${read.numPassedTests} tests`,
    ...[...counts].map(([what, n]) => `${thousands(n)} ${what}`),
  ];
  return { tried: [...tried, ...skipped].join(', '), lost };
}

export const thousands = (n: number): string => String(n).replaceAll(/\B(?=(\d{3})+$)/g, ',');
