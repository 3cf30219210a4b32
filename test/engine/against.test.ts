import { expect, test } from 'vitest';
import { planAgainst, type Side } from '../../src/engine/against.ts';
import type { RotatedSecret } from '../../src/manifests/model.ts';
import { schedule } from './schedules.ts';
import { binding, bob, desired, frozen, now, secret } from './wishes-and-records.ts';

const side = (secrets: RotatedSecret[], host = 'db.internal'): Side =>
  frozen({
    desired: desired(secrets),
    bindings: new Map(secrets.map(({ name }) => [name, { ...binding, host }])),
  });

const said = (before: Side, after: Side): string[] =>
  planAgainst(before, after, now).groups.flatMap(({ actions }) =>
    actions.map(({ verb, secret: name, reason }) => `${verb} ${name}: ${reason}`),
  );

const app = secret();
const initial = { password: { env: 'X' }, username: undefined };
const table: [string, RotatedSecret[], RotatedSecret[], string[]][] = [
  ['nothing changed', [app], [app], []],
  ['a secret that the target sets', [], [app], ['rotate app: added']],
  ['a secret with its value', [], [secret({ initial })], ['adopt app: added, with an initial value']],
  [
    'a secret whose value nobody knows',
    [],
    [secret({ authenticateAs: 'user' })],
    ['block app: added; its value is not known: keyturn adopt app'],
  ],
  [
    'a removed secret',
    [app],
    [],
    ['forget app: its manifest is removed: not rotated any more, its versions stay readable'],
  ],
  ['a reader more', [app], [secret({ readers: [bob] })], ['rekey app: reader added: bob']],
  ['a reader less', [secret({ readers: [bob] })], [app], ['rotate app: reader removed: bob']],
  ['another name', [app], [secret({ name: 'web', movedFrom: 'app' })], ['rekey web: moved from app']],
  ['a token', [app], [secret({ rotateToken: 'leak' })], ['rotate app: rotateToken is now "leak"']],
  [
    'another rhythm',
    [app],
    [secret({ schedule: schedule({ everyDays: 7 }), grace: 3_600_000, specDigest: 'sha256:00' })],
    ['hold app: schedule every 30d -> every 7d; grace 0s -> 1h: from its next rotation on'],
  ],
  [
    'anything else',
    [app],
    [secret({ keep: 9, specDigest: 'sha256:00' })],
    ['hold app: other settings changed: from its next rotation on'],
  ],
];

test.each(table)('%s', (_, before, after, actions) => {
  expect(said(side(before), side(after))).toEqual(actions);
});

test('a moved endpoint needs a person, whatever else is changed', () => {
  expect(said(side([app]), side([app], 'db2'))).toEqual([
    'block app: host changed from db.internal to db2: needs keyturn rebind app',
  ]);
});
