import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { loadManifests, parseManifests } from '../../src/manifests/load.ts';
import { alice, bob, complaints, join, mysql, project, secret, wrong } from './fixtures.ts';

const day = 86_400_000;

it('the manifests of design.md load', async () => {
  const text = `${project('planners: [PLANNER]\nstate: { ref: refs/heads/main }\nlimits: { maxRotations: 20, maxShare: 0.5 }\ndefaults: { schedule: { every: 30d }, keep: 5 }\nchannels: { ops: { type: webhook, url: { env: OPS_WEBHOOK } } }').replace('PLANNER', bob)}---
apiVersion: keyturn/v1
kind: Target
metadata: { name: prod/mysql }
spec:
  type: mysql
  host: db.internal
  port: 3306
  tls: { mode: verify }
  credentials: { username: keyturn_admin, password: { secret: prod/mysql/admin } }
---
apiVersion: keyturn/v1
kind: Role
metadata: { name: reporting }
spec:
  members: [{ name: alice, recipient: ${alice} }]
  secrets: ["prod/mysql/reporting", "prod/aws/**"]
---
apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: prod/mysql/admin }
spec: { target: prod/mysql, rotator: target }
---
apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: prod/mysql/reporting, description: Nightly reports, tags: [pci] }
spec:
  target: prod/mysql
  rotator: password
  authenticateAs: target
  account: { username: reporting, host: "%" }
  schedule: { every: 30d, hour: 3, timezone: Europe/Berlin }
  grace: 24h
  passwordPolicy: { length: 32, lowercase: true, uppercase: true, numbers: true, symbols: true }
  keep: 5
  deleteProtection: true
  notify: { before: [7d, 1d], channels: [ops] }
`;
  const { project: acme, secrets } = await parseManifests([{ path: 'keyturn.yaml', text }], tmpdir(), {
    env: {},
  });
  expect(acme).toMatchObject({ stateRef: 'refs/heads/main', planners: [bob] });
  expect(secrets.get('prod/mysql/reporting')).toMatchObject({
    description: 'Nightly reports',
    tags: ['pci'],
    grace: day,
    notify: { before: [7 * day, day], channels: ['ops'] },
    readers: [{ name: 'alice' }],
  });
});

it('examples/mysql-team loads, and its files name their schema', async () => {
  const root = fileURLToPath(new URL('../../examples/mysql-team/', import.meta.url));
  const { targets, secrets } = await loadManifests(root, { env: {} });
  expect([...targets.keys()]).toEqual(['prod/mysql']);
  expect([...secrets.keys()]).toEqual(['prod/mysql/admin', 'prod/mysql/reporting', 'prod/mysql/shop']);
  expect(secrets.get('prod/mysql/admin')?.account.usernames).toEqual(['keyturn_admin']);
  for (const file of [
    'keyturn.yaml',
    'manifests/targets/mysql.yaml',
    'manifests/roles/teams.yaml',
    'manifests/secrets/prod/mysql.yaml',
  ]) {
    const path = new URL(file, new URL('../../examples/mysql-team/', import.meta.url));
    const [, schema] = /^# yaml-language-server: \$schema=(\S+)\n/.exec(await readFile(path, 'utf8')) ?? [];
    expect(JSON.parse(await readFile(new URL(schema ?? 'no modeline', path), 'utf8'))).toHaveProperty(
      'properties.kind',
    );
  }
});

it('every mistake is said at once, in the order of files and lines', async () => {
  const files = [
    {
      path: 'manifests/z.yaml',
      text: join(secret('b', 'keep: 1\nhour: 3'), secret('c', 'grace: 90d'), 'a: [\n'),
    },
    {
      path: 'manifests/a.yaml',
      text: join(mysql('prod/mysql', 'porrt: 1\ntimeout: 5'), mysql('t2', 'tls: { ca: ../x }'), 'kind: x\n'),
    },
    { path: 'keyturn.yaml', text: project('defaults: { schedule: { timezone: X } }\nplanners: [x]') },
  ];
  expect(
    (await complaints(parseManifests(files, tmpdir(), { env: {} }))).map((line) => line.split(' | ')[0]),
  ).toEqual([
    'keyturn.yaml:6:27: acme: there is no such time zone',
    expect.stringMatching(/^keyturn.yaml:7:14: acme: spec.planners\[0\] /),
    'manifests/a.yaml:8:3: prod/mysql: spec has no key "porrt"',
    'manifests/a.yaml:9:3: prod/mysql: spec.timeout must be text',
    'manifests/a.yaml:18:10: t2: spec.tls.ca leaves the repository',
    'manifests/a.yaml:20:1: document 3: apiVersion is missing',
    'manifests/z.yaml:7:3: b: spec.keep is out of range',
    'manifests/z.yaml:8:3: b: spec has no key "hour"',
    'manifests/z.yaml:16:3: c: grace 90d is not shorter than the interval 30d',
    expect.stringMatching(/^manifests\/z.yaml:\d+:\d+: manifests\/z.yaml: /),
  ]);
});

it('the subject of an error is its place and the manifest', async () => {
  expect(await wrong(join(mysql(), secret('prod/mysql/reporting', 'kep: 5')))).toEqual([
    'manifests/a.yaml:15:3: prod/mysql/reporting: spec has no key "kep" | did you mean "keep"?',
  ]);
});
