import { describe, expect, it } from 'vitest';
import { parseFile } from '../../src/manifests/parse.ts';
import { Problems } from '../../src/manifests/problems.ts';
import { join, mysql, secret, wrong } from './fixtures.ts';

const parse = (text: string) => parseFile({ path: 'manifests/a.yaml', text: () => text }, new Problems());

describe('positions', () => {
  const [document] = parse(
    '# top\n---\nmetadata:\n  name: x\nspec:\n  list:\n    - a: 1\n    - { b: 2, "c/d": 3 }\n',
  ).documents;
  it.each([
    ['', 3, 1],
    ['/metadata/name', 4, 3],
    ['/spec/list/0', 7, 7],
    ['/spec/list/0/a', 7, 7],
    ['/spec/list/1', 8, 7],
    ['/spec/list/1/c~1d', 8, 15],
    ['/spec/missing/deeper', 5, 1],
    ['/spec/list/9', 6, 3],
  ])('%j is at %d:%d', (pointer, line, column) => {
    expect(document?.at(pointer)).toEqual({ file: 'manifests/a.yaml', line, column });
  });
});

describe('what YAML could do beyond data', () => {
  it.each([
    ['a custom tag', 'a: !env HOME', '1:9: manifests/a.yaml: custom tags are not allowed'],
    ['a tag on a map', 'a: !x { b: 1 }', '1:7: manifests/a.yaml: custom tags are not allowed'],
    ['a binary', 'a: !!binary aGk=', '1:13: manifests/a.yaml: custom tags are not allowed'],
    ['an alias', 'a: &x [1]\nb: *x', '2:4: manifests/a.yaml: aliases are not allowed'],
    ['an alias to nothing', 'b: *x', '1:4: manifests/a.yaml: aliases are not allowed'],
    ['a duplicate key', 'a: 1\nb: 2\na: 3', '3:1: manifests/a.yaml: the same key stands twice in one map'],
    [
      'a duplicate key of another type',
      '1: 1\n"1": 2',
      '2:1: manifests/a.yaml: the same key stands twice in one map',
    ],
    ['a list as key', 'a: { [1]: 2 }', '1:4: manifests/a.yaml: a key must be a plain word'],
    ['YAML 1.1', '%YAML 1.1\n---\na: yes', '2:1: manifests/a.yaml: only YAML 1.2 is read'],
    ['a tab', 'a:\n\tb: 1', '2:1: manifests/a.yaml: a tab cannot indent'],
    ['an open quote', 'a: "b', '1:6: manifests/a.yaml: something is missing here'],
    ['a map in a line', 'a: b: c', '1:4: manifests/a.yaml: a map cannot begin inside a line'],
    ['endless nesting', '['.repeat(20_000), 'nested too deeply'],
  ])('%s is refused, once', async (_, text, message) => {
    const said = await wrong(text);
    expect(said).toHaveLength(1);
    expect(said[0]).toContain(message);
  });

  it('stops an alias bomb before it grows', async () => {
    const levels = Array.from(
      { length: 30 },
      (_, level) => `l${level + 1}: &l${level + 1} [*l${level}, *l${level}]`,
    );
    const said = await wrong(['l0: &l0 [x]', ...levels].join('\n'));
    expect(said).toHaveLength(60);
    expect(new Set(said.map((line) => line.replace(/^\S+ /, '')))).toEqual(
      new Set(['manifests/a.yaml: aliases are not allowed | write the value out where it is used']),
    );
  });

  it('__proto__ is a key like any other', async () => {
    expect(await wrong(mysql('prod/mysql', '__proto__: { polluted: true }'))).toEqual([
      'manifests/a.yaml:8:3: prod/mysql: spec has no key "__proto__" | known keys: type, host, port, verifyHost, tls, concurrency, timeout, credentials',
    ]);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });
});

it.each(['__proto__', 'toString'])('%s may stand at the same place of two manifests', async (key) => {
  const odd = (name: string) => mysql(name, `${key}: { polluted: true }`);
  expect((await wrong(join(odd('a'), odd('b')))).map((line) => line.split(' | ')[0])).toEqual([
    `manifests/a.yaml:8:3: a: spec has no key "${key}"`,
    `manifests/a.yaml:17:3: b: spec has no key "${key}"`,
  ]);
});

it('empty documents and files are fine', async () => {
  expect(await wrong('')).toEqual([]);
  expect(await wrong('# nothing\n---\n---\n# nothing\n')).toEqual([]);
  expect(await wrong(`---\n${join(mysql(), '# nothing\n', secret())}---\n`)).toEqual([]);
});

it('a file that cannot be read does not make references to it dangle', async () => {
  const said = await wrong(join(secret(), 'kind: Target\nspec: [\n'));
  expect(said).toHaveLength(1);
});
