import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { fingerprint } from '../src/age/fingerprint.ts';
import { plan } from '../src/engine/plan.ts';
import { loadManifests } from '../src/manifests/load.ts';
import type { Desired } from '../src/manifests/model.ts';
import { renderPlanText } from '../src/output/plan-text.ts';
import type { SecretRecord } from '../src/state/model.ts';
import { driverOf } from '../src/targets/registry.ts';
import { what } from './prove/rows.ts';

/** What the README says is true: its first page comes from the planner, its tables from the program. */

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const name = 'prod/mysql/reporting';

const blocks = (language: string): string[] =>
  [...readme.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].flatMap(([, is, text = '']) =>
    is === language ? [text] : [],
  );

const rows = (heading: string): string[][] => {
  const [, after = ''] = readme.split(`\n## ${heading}\n`);
  const [section = ''] = after.split('\n## ');
  return [...section.matchAll(/^\| (.*) \|$/gm)].map(([, row = '']) => row.split(' | '));
};

function help(): string {
  const { stdout } = spawnSync(process.execPath, [join(root, 'src/cli.ts'), '--help'], {
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  });
  return stdout;
}

/** The first page's manifest, beside the project and the target that it needs. */
async function declared(): Promise<Desired> {
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-readme-'));
  try {
    mkdirSync(join(folder, 'manifests'));
    const example = join(root, 'examples', 'mysql-team');
    writeFileSync(join(folder, 'keyturn.yaml'), readFileSync(join(example, 'keyturn.yaml')));
    writeFileSync(join(folder, 'manifests', 'secret.yaml'), blocks('yaml')[0] ?? '');
    writeFileSync(
      join(folder, 'manifests', 'target.yaml'),
      `apiVersion: keyturn/v1
kind: Target
metadata: { name: prod/mysql }
spec:
  type: mysql
  host: db.internal
  credentials: { username: keyturn_admin, password: { env: DB_ADMIN_PASSWORD } }
`,
    );
    return await loadManifests(folder, { env: {} });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe('the README', () => {
  test('shows on its first forty lines a manifest and the plan that the planner makes of it', async () => {
    const desired = await declared();
    const secret = desired.secrets.get(name);
    const target = desired.targets.get('prod/mysql');
    if (!secret || !target) throw new Error('the manifest declares something else');
    const binding = (await driverOf('mysql')).binding(target, secret.account);
    const promotedAt = '2026-10-18T01:00:12.000Z';
    const record: SecretRecord = {
      uid: '01M7XF74Q75EWWWGHYVEKV2NRG',
      name,
      rotator: 'mysql/password',
      target: 'prod/mysql',
      current: 7,
      specDigest: secret.specDigest,
      versions: {
        7: {
          stage: 'current',
          createdAt: promotedAt,
          promotedAt,
          readers: desired.project.reconcilers.map(fingerprint),
          file: '',
          username: 'reporting',
        },
      },
      pending: null,
      binding,
      sched: {
        failures: 0,
        nextAttemptAt: null,
        lastError: null,
        rotateToken: null,
        probeAfter: null,
        notified: [],
      },
      health: 'ok',
    };
    const made = plan(
      desired,
      { repo: '', serial: 14, head: '', records: { [record.uid]: record } },
      new Date('2026-11-20T12:00:00Z'),
      { bindings: new Map([[name, binding]]), wishes: new Map(), deadClaims: new Set(), force: false },
    );
    expect(blocks('')[0]).toBe(`${renderPlanText(made, { color: false })}\n`);
    expect(readme.split('\n').slice(0, 40).join('\n')).toContain(blocks('')[0]);
  });

  test('gives on its first forty lines the two commands of a fresh machine', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    expect(readme.split('\n').slice(0, 40)).toEqual(
      expect.arrayContaining(['npm ci && npm run quickstart', 'npm ci && npm test']),
    );
    for (const [, script = ''] of readme.matchAll(/npm run ([\w:-]+)/g))
      expect(scripts).toHaveProperty(script);
  });

  test("lists the program's commands, in its order and its words", () => {
    const [, listed = ''] = help().split('Commands:\n');
    const commands = listed
      .replaceAll(/\n {6,}/g, ' ')
      .split('\n\n')[0]
      ?.split('\n')
      .map((line) => line.trim().split(/ {2,}/))
      .map(([term = '', words = '']) => [`\`${term.replace(' [options]', '')}\``, words])
      .filter(([term]) => term !== '`help [command]`');
    const [, ...table] = rows('Commands').filter(
      ([first = '']) => first !== 'exit code' && !/^\d/.test(first),
    );
    expect(table).toEqual(commands);
  });

  test('lists the exit codes of the help', () => {
    const [, codes = ''] = help().split('Exit codes: ');
    const table = rows('Commands').filter(([first = '']) => /^\d/.test(first));
    const said = table.map(
      ([code, means = '']) => `${code} ${means.replace(/: (.*)$/, ' ($1)').replaceAll('`', '')}`,
    );
    expect(`${said.join(', ')}.`).toBe(codes.replaceAll('\n', ' ').trim());
  });

  test('quotes the table of npm run prove, row by row', () => {
    const proofs = Object.values(what);
    const [header, ...table] = rows('How a crash is survived').filter(
      ([first = '']) => first === 'tried by `npm run prove`' || proofs.includes(first),
    );
    expect(header).toEqual(['tried by `npm run prove`', 'how much', 'lost']);
    expect(table.map(([first]) => first)).toEqual(proofs);
    for (const [, , lost] of table) expect(lost).toBe('0');
  });

  test('links only to what exists', () => {
    const links = [...readme.matchAll(/\]\((?!https:)([^)#]+)\)/g)].map(([, path = '']) => path);
    expect(links).toContain('LICENSE');
    expect(links.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });
});

describe('every example', () => {
  const examples = readdirSync(join(root, 'examples')).filter((name) =>
    existsSync(join(root, 'examples', name, 'keyturn.yaml')),
  );
  test.each(examples)('%s is valid, and tells editors its schemas', async (example) => {
    const folder = join(root, 'examples', example);
    const { secrets } = await loadManifests(folder, { env: {} });
    expect(secrets.size).toBeGreaterThan(0);
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
      file.endsWith('.yaml'),
    );
    for (const file of files) {
      const texts = readFileSync(join(folder, file), 'utf8').split('\n---\n');
      for (const text of texts) {
        const [, schema = ''] = /^# yaml-language-server: \$schema=(\S+)\n/.exec(text) ?? [];
        expect(
          existsSync(join(folder, dirname(file), schema)) && schema !== '',
          `${file} names ${schema}`,
        ).toBe(true);
      }
    }
  });
});
