import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { ci, join, manifest, mysql, project, secret, wrong } from './fixtures.ts';

const sealIt =
  'encrypt it with keyturn seal and write { sealed: … }, or refer to it by { env: NAME }, { file: path } or { secret: name }';
const place = 'spec.credentials.password';
const target = (spec: string) => manifest('Target', 'db', `type: mysql\nhost: h\n${spec}`);

describe('one mistake, one message', () => {
  it.each([
    ['an unknown key', target('porrt: 3306'), '7:3: db: spec has no key "porrt" | did you mean "port"?'],
    [
      'an unknown key like no other',
      target('colour: red'),
      '7:3: db: spec has no key "colour" | known keys: type, host, port, verifyHost, tls, concurrency, timeout, credentials',
    ],
    [
      'a key of another type',
      target('database: x'),
      '7:3: db: spec has no key "database" | known keys: type, host, port, verifyHost, tls, concurrency, timeout, credentials',
    ],
    [
      'a mistyped required key',
      manifest('Target', 'db', 'type: mysql\nhots: h'),
      '6:3: db: spec has no key "hots" | did you mean "host"?',
    ],
    [
      'a missing key',
      manifest('Target', 'db', 'type: mysql'),
      '4:1: db: spec lacks host | add host: host name or address, without port',
    ],
    [
      'an unknown type',
      manifest('Target', 'db', 'type: mysqll\nhost: h\nanything: 1'),
      '5:3: db: spec.type has no such choice | did you mean "mysql"?',
    ],
    [
      'a type that is not there yet',
      manifest('Target', 'db', 'type: oracle\nhost: h'),
      '5:3: db: spec.type has no such choice | write one of mysql, postgresql, ssh, aws, azure, azure-storage, web',
    ],
    [
      'a missing type',
      manifest('Target', 'db', 'host: h'),
      '4:1: db: spec lacks type | add type: kind of target. mysql serves MariaDB too; web is a rotator of your own',
    ],
    ['text for a number', target('port: "3306"'), '7:3: db: spec.port must be a whole number | TCP port'],
    ['a number out of range', target('port: 70000'), '7:3: db: spec.port is out of range | write 1 to 65535'],
    [
      'a duration without unit',
      target('timeout: 30'),
      '7:3: db: spec.timeout must be text | give it a unit, e.g. 30d',
    ],
    [
      'a malformed duration',
      target('timeout: 1 day'),
      '7:3: db: spec.timeout is not written right | Longest wait for one connection or statement. A whole number with its unit: 500ms, 45s, 90m, 24h, 30d',
    ],
    [
      'a host with a port',
      manifest('Target', 'db', 'type: mysql\nhost: db:3306'),
      '6:3: db: spec.host is not written right | Host name or address, without port',
    ],
    [
      'a name that leaves its folder',
      manifest('Target', 'a/../b', 'type: mysql\nhost: h'),
      '3:13: a/../b: metadata.name is not written right | a name is made of a-z, 0-9, dot, dash and underscore, in segments joined by slashes',
    ],
    [
      'a name in capitals',
      manifest('Target', 'DB', 'type: mysql\nhost: h'),
      '3:13: Target: metadata.name is not written right | a name is made of a-z, 0-9, dot, dash and underscore, in segments joined by slashes',
    ],
    [
      'a literal password',
      target('credentials: { username: a, password: hunter2 }'),
      `7:31: db: ${place} must be a reference to a value, never the value | ${sealIt}`,
    ],
    [
      'a literal number',
      target('credentials: { username: a, password: 12345678 }'),
      `7:31: db: ${place} must be a reference to a value, never the value | ${sealIt}`,
    ],
    [
      'a literal as a key',
      target('credentials: { username: a, password: { hunter2 } }'),
      `7:31: db: ${place} must be a reference to a value, never the value | ${sealIt}`,
    ],
    [
      'a forgotten password',
      target('credentials: { username: a, password: }'),
      `7:31: db: ${place} must be a reference to a value, never the value | ${sealIt}`,
    ],
    [
      'a mistyped reference',
      target('credentials: { username: a, password: { evn: X } }'),
      `7:43: db: ${place} has no key of that name | did you mean "env"?`,
    ],
    [
      'a bad variable name',
      target('credentials: { username: a, password: { env: my-pass } }'),
      `7:43: db: ${place}.env is not written right | Name of the environment variable that holds the value when keyturn runs`,
    ],
    [
      'two references',
      target('credentials: { username: a, password: { env: A, file: b } }'),
      `7:31: db: ${place} refers to more than one value | keep one of env, file, secret and sealed`,
    ],
    [
      'something that is not sealed',
      target('credentials: { username: a, password: { sealed: abc } }'),
      `7:43: db: ${place}.sealed is not written right | Armored age file, made by keyturn seal`,
    ],
    [
      'an unknown kind',
      manifest('Tarrget', 'db', 'type: mysql'),
      '2:1: db: there is no such kind | did you mean "Target"?',
    ],
    [
      'no kind',
      'apiVersion: keyturn/v1\nmetadata: { name: x }\n',
      '1:1: x: kind is missing | write one of Project, Target, Role, RotatedSecret',
    ],
    [
      'another apiVersion',
      'apiVersion: v1\nkind: Secret\n',
      '1:1: Secret: apiVersion is not one of keyturn | write apiVersion: keyturn/v1',
    ],
    ['no apiVersion', 'kind: Target\n', '1:1: Target: apiVersion is missing | write apiVersion: keyturn/v1'],
    [
      'a newer apiVersion',
      'apiVersion: keyturn/v2\nkind: Target\n',
      '1:1: Target: is written for a newer keyturn | this one reads keyturn/v1: upgrade it with npm install keyturn@latest',
    ],
    [
      'a list',
      '- a\n- b\n',
      '1:3: document 1: a manifest must be a map | write apiVersion, kind, metadata and spec',
    ],
    [
      'a role glob with braces',
      manifest('Role', 'r', 'members: []\nsecrets: ["{a,b}"]'),
      '6:13: r: spec.secrets[0] is not written right | A name, or a pattern with * and **',
    ],
  ])('%s', async (_, text, message) => {
    expect(await wrong(text)).toEqual([`manifests/a.yaml:${message}`]);
  });

  it.each([
    [
      'every: 0d',
      '8:3: app: spec.schedule.every is not written right | Days between two rotations, 1d to 365d',
    ],
    [
      'every: 366d',
      '8:3: app: spec.schedule.every is not written right | Days between two rotations, 1d to 365d',
    ],
    [
      'every: 36h',
      '8:3: app: spec.schedule.every is not written right | Days between two rotations, 1d to 365d',
    ],
    ['every: 30', '8:3: app: spec.schedule.every must be text | give it a unit, e.g. 30d'],
    ['hour: 24', '8:3: app: spec.schedule.hour is out of range | write 0 to 23'],
    [
      'windows: [{ days: [monday], from: "22:00", to: "23:00" }]',
      '8:3: app: spec.schedule.windows[0].days[0] has no such choice | write one of mon, tue, wed, thu, fri, sat, sun',
    ],
    [
      'windows: [{ from: "9:00", to: "23:00" }]',
      '8:3: app: spec.schedule.windows[0].from is not written right | When it opens, HH:MM',
    ],
  ])('schedule: { %s }', async (spec, message) => {
    const said = await wrong(join(mysql(), secret('app', `schedule: { ${spec} }`)));
    expect(said).toHaveLength(1);
    expect(said[0]?.replace(/^manifests\/a.yaml:\d+:\d+/, '')).toBe(message.replace(/^\d+:\d+/, ''));
  });

  it.each([
    ['schedule: manul', 'spec.schedule has no such choice | did you mean "manual"?'],
    [
      'schedule: 30',
      'spec.schedule must be text or a map | When the secret is rotated. The word manual: only on request',
    ],
    ['keep: 2', 'spec.keep is out of range | write 3 to 100'],
    ['passwordPolicy: { length: 7 }', 'spec.passwordPolicy.length is out of range | write 8 to 256'],
    ['passwordPolicy: { length: 257 }', 'spec.passwordPolicy.length is out of range | write 8 to 256'],
    ['rotateToken: 5', 'spec.rotateToken must be text | put it in quotes'],
    ['grace: 0', 'spec.grace must be text | give it a unit, e.g. 0s'],
    [
      'deleteProtection: "no"',
      'spec.deleteProtection must be true or false | Refuses keyturn destroy for this secret',
    ],
  ])('secret with %s', async (spec, message) => {
    const said = await wrong(join(mysql(), secret('app', spec)));
    expect(said.map((line) => line.replace(/^manifests.a.yaml:15:[0-9]+: app: /, ''))).toEqual([message]);
  });

  it('two mistakes in one map are two messages', async () => {
    expect(await wrong(manifest('Target', 'db', 'type: mysql\ncolour: red'))).toEqual([
      'manifests/a.yaml:4:1: db: spec lacks host | add host: host name or address, without port',
      'manifests/a.yaml:6:3: db: spec has no key "colour" | known keys: type, host, port, verifyHost, tls, concurrency, timeout, credentials',
    ]);
  });

  it('a password rotator needs an account, a target rotator does not', async () => {
    expect(await wrong(join(mysql(), manifest('RotatedSecret', 'app', 'target: prod/mysql')))).toEqual([
      'manifests/a.yaml:12:1: app: spec lacks account | add account',
    ]);
  });

  it('a project is checked alike, its defaults included', async () => {
    expect(await wrong('', { project: manifest('Project', 'acme', 'reconcilers: []') })).toEqual([
      'keyturn.yaml:5:3: acme: spec.reconcilers has too few items | Recipients that may apply: they decrypt state and values',
    ]);
    expect(await wrong('', { project: manifest('Project', 'acme', `reconcilers: [${ci}, ${ci}]`) })).toEqual([
      expect.stringMatching(/^keyturn.yaml:5:81: acme: spec.reconcilers holds the same item twice \|/),
    ]);
    expect(await wrong('', { project: project('defaults: { keep: 1 }') })).toEqual([
      'keyturn.yaml:6:15: acme: spec.defaults.keep is out of range | write 3 to 100',
    ]);
    expect(await wrong('', { project: project('state: { ref: main }') })).toHaveLength(1);
    expect(await wrong('', { project: project('state: { ref: refs/heads/keyturn-state }') })).toEqual([]);
    expect(await wrong('', { project: project('limits: { maxShare: 0 }') })).toEqual([
      'keyturn.yaml:6:13: acme: spec.limits.maxShare is out of range | write more than 0 and at most 1',
    ]);
  });
});

describe.each(['project', 'target', 'role', 'rotated-secret'])('%s.schema.json', (name) => {
  it('tells editors what every key means, and takes no other', async () => {
    const schema: unknown = JSON.parse(
      await readFile(new URL(`../../schemas/${name}.schema.json`, import.meta.url), 'utf8'),
    );
    const mute: string[] = [];
    const walk = (node: unknown, path: string): void => {
      if (typeof node !== 'object' || node === null) return;
      const { properties, additionalProperties, allOf } = node as {
        properties?: Record<string, unknown>;
        additionalProperties?: unknown;
        allOf?: unknown;
      };
      if (properties !== undefined && !/\/if$/.test(path)) {
        if (additionalProperties !== false && allOf === undefined) mute.push(`${path} is open`);
        for (const [key, value] of Object.entries(properties)) {
          const { title, description, $ref } = value as {
            title?: string;
            description?: string;
            $ref?: string;
          };
          if (value !== true && $ref === undefined && (title === undefined || description === undefined))
            mute.push(`${path}/${key}`);
        }
      }
      for (const [key, value] of Object.entries(node)) walk(value, `${path}/${key}`);
    };
    walk(schema, '');
    expect(mute).toEqual([]);
  });
});
