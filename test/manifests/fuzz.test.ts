import { tmpdir } from 'node:os';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseManifests } from '../../src/manifests/load.ts';
import { fuzzing } from '../fuzz/seeds.ts';
import { complaints, join, manifest, mysql, project, secret } from './fixtures.ts';

const whole = join(
  mysql('prod/mysql', 'tls: { mode: verify }\nconcurrency: 2\ntimeout: 5s'),
  manifest('Role', 'team', 'members: []\nsecrets: ["**"]'),
  secret(
    'app',
    'schedule: { every: 7d, windows: [{ days: [mon], from: "22:00", to: "23:00" }] }\ninitial: { password: { env: P } }\nnotify: { before: [1d] }',
  ),
);
const load = (text: string) =>
  complaints(
    parseManifests(
      [
        { path: 'keyturn.yaml', text: project() },
        { path: 'manifests/a.yaml', text },
      ],
      tmpdir(),
      { env: {} },
    ),
  );

/** `complaints` rethrows whatever users must not see. */
it('no text makes anything but a list of complaints', async () => {
  const piece = fc.constantFrom(
    'a',
    ': ',
    '- ',
    '\n',
    '  ',
    '{',
    '}',
    '[',
    ']',
    '"',
    "'",
    '|',
    '>',
    '&x ',
    '*x',
    '!t ',
    '? ',
    '#',
    '---\n',
    '...\n',
    '%YAML 1.3\n',
    '\t',
    '\0',
    '\u2028',
    '~',
    '<<: ',
    '.nan',
    '1e999',
    '\u{1F600}',
    'spec',
    'kind: Target\n',
    'apiVersion: keyturn/v1\n',
    'metadata: {name: __proto__}\n',
  );
  const soup = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(''));
  await fc.assert(
    fc.asyncProperty(fc.oneof(soup, fc.string({ unit: 'binary' })), async (text) => {
      for (const line of await load(text))
        expect(line).toMatch(/^(keyturn|manifests\/a).yaml:\d+:\d+: .+ \| .+/);
    }),
    fuzzing(500),
  );
});

it('no damage to a good manifest makes anything else either', async () => {
  const damage = fc.record({
    at: fc.nat({ max: whole.length }),
    cut: fc.nat({ max: 12 }),
    put: fc.string({ maxLength: 6 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 3 }), async (all) => {
      const text = all.reduce((now, { at, cut, put }) => now.slice(0, at) + put + now.slice(at + cut), whole);
      for (const line of await load(text)) expect(line).toMatch(/^(keyturn|manifests\/a).yaml:\d+:\d+: /);
    }),
    fuzzing(500),
  );
});

it('any JSON in place of any part of a manifest is told apart without a crash', async () => {
  const keys = [
    'type',
    'host',
    'credentials',
    'tls',
    'timeout',
    'account',
    'schedule',
    'target',
    'initial',
    'passwordPolicy',
    'members',
    'secrets',
    'notify',
    'movedFrom',
  ];
  const spec = fc.dictionary(fc.constantFrom(...keys), fc.jsonValue({ maxDepth: 3 }));
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('Target', 'Role', 'RotatedSecret', 'Project'),
      spec,
      async (kind, body) => {
        await load(JSON.stringify({ apiVersion: 'keyturn/v1', kind, metadata: { name: 'x' }, spec: body }));
      },
    ),
    fuzzing(500),
  );
});

it('no message repeats a literal password, wherever it was written', async () => {
  const canary = fc.stringMatching(/^[a-z][A-Za-z0-9]{9,20}$/).map((word) => `zq7${word}`);
  const places = fc.constantFrom<(word: string) => string>(
    (word) => `password: ${word}`,
    (word) => `password: "${word}`,
    (word) => `password: @${word}`,
    (word) => `password: !${word}`,
    (word) => `password: *${word}`,
    (word) => `password: &${word}`,
    (word) => `password: ${word}: ${word}`,
    (word) => `password: { ${word} }`,
    (word) => `password: { ${word}, ${word} }`,
    (word) => `password: { value: ${word} }`,
    (word) => `password: [${word}]`,
    (word) => `passwrod: ${word}`,
    (word) => `password: { env: ${word} }`,
    (word) => `password: { file: ../${word} }`,
    (word) => `password: { secret: ${word.toLowerCase()} }`,
    (word) => `password: { secret: ${word} }`,
    (word) => `password: { sealed: ${word} }`,
    (word) => `password: { sealed: ${word}, env: ${word} }`,
    (word) => `password: |\n    ${word}\n   ${word}`,
  );
  await fc.assert(
    fc.asyncProperty(canary, places, async (word, place) => {
      const broken = [
        manifest('Target', 'db', `type: mysql\nhost: h\ncredentials:\n  username: a\n  ${place(word)}`),
        join(mysql(), secret('app', `initial:\n  ${place(word)}`)),
      ];
      for (const text of broken) {
        const said = await load(text);
        expect(said).not.toEqual([]);
        for (const line of said) expect(line.toLowerCase()).not.toContain(word.toLowerCase());
      }
    }),
    fuzzing(300),
  );
});
