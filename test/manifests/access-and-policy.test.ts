import { describe, expect, it } from 'vitest';
import { admin, alice, ci, join, manifest, mysql, project, said, secret, wrong } from './fixtures.ts';

describe('access', () => {
  const role = (recipient: string) =>
    manifest('Role', 'r', `members: [{ name: m, recipient: ${recipient} }]\nsecrets: ["**"]`);
  const hint = 'a recipient is the public key that `keyturn keygen` or `age-keygen` prints';

  it('recipients are checked to the last letter', async () => {
    const [line, ...more] = await wrong(role(`${alice.slice(0, -1)}q`));
    expect(line).toMatch(/^manifests\/a.yaml:5:24: r: spec.members\[0\].recipient .+/);
    expect(line).toContain(hint);
    expect(more).toEqual([]);
    expect(
      await said('', {
        project: manifest('Project', 'acme', `reconcilers: [${ci}, age1nonsense]\nplanners: [ssh-ed25519]`),
      }),
    ).toHaveLength(2);
  });

  it('a secret key in place of a recipient is not repeated', async () => {
    const key = 'AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ';
    const [line] = await said(role(key));
    expect(line).toContain('r: spec.members[0].recipient is a secret key');
    expect(line).not.toContain(key);
  });

  it('somebody beside the job can decrypt every secret', async () => {
    const lonely = manifest('Project', 'acme', `reconcilers: [${ci}]`);
    expect(await wrong(join(mysql(), secret('a'), secret('b'), secret('c')), { project: lonely })).toEqual([
      'keyturn.yaml:5:3: acme: only one key could decrypt a and 2 more | add an offline admin key to spec.reconcilers',
    ]);
    expect(await said(join(mysql(), secret('a'), role(ci)), { project: lonely })).toHaveLength(1);
    expect(await said(join(mysql(), secret('a'), role(alice)), { project: lonely })).toEqual([]);
    expect(
      await said(join(mysql(), secret('a')), {
        project: manifest('Project', 'acme', `reconcilers: [${ci}, ${admin}]`),
      }),
    ).toEqual([]);
  });

  it('a role that matches nothing yet is fine', async () => {
    expect(await said(manifest('Role', 'r', `members: []\nsecrets: [nothing/**]`))).toEqual([]);
  });
});

describe('schedules and policies', () => {
  it.each([
    ['schedule: { timezone: Europe/Berln }', 'there is no such time zone | did you mean "Europe/Berlin"?'],
    [
      'schedule: { timezone: "+02:00" }',
      'there is no such time zone | write an IANA name, e.g. Europe/Berlin or UTC',
    ],
    [
      'schedule: { windows: [{ from: "01:00", to: "02:00", timezone: Mars }] }',
      'there is no such time zone | write an IANA name, e.g. Europe/Berlin or UTC',
    ],
    [
      'schedule: { windows: [{ from: "01:00", to: "01:00" }] }',
      'the window closes when it opens | write a later time, or an earlier one to cross midnight',
    ],
    [
      'grace: 30d',
      'grace 30d is not shorter than the interval 30d | write a shorter grace, or a longer schedule.every',
    ],
    [
      'grace: 24h\nschedule: { every: 1d }',
      'grace 24h is not shorter than the interval 1d | write a shorter grace, or a longer schedule.every',
    ],
    [
      'passwordPolicy: { lowercase: false, uppercase: false, numbers: false, symbols: false }',
      'spec.passwordPolicy allows no character at all | set one of lowercase, uppercase, numbers and symbols to true',
    ],
    [
      'passwordPolicy: { exclude: "0123456789" }',
      'spec.passwordPolicy.exclude removes all numbers | set numbers to false, or exclude less',
    ],
  ])('%s', async (spec, message) => {
    expect(await said(join(mysql(), secret('app', spec)))).toEqual([`app: ${message}`]);
  });

  it.each([
    'grace: 29d',
    'schedule: manual\ngrace: 60d',
    'schedule: { windows: [{ from: "22:00", to: "02:00" }] }',
    'schedule: { timezone: Asia/Kolkata }',
    'passwordPolicy: { numbers: false, exclude: "0123456789" }',
  ])('%j is fine', async (spec) => expect(await said(join(mysql(), secret('app', spec)))).toEqual([]));

  it('a wrong default is one mistake, however many secrets share it', async () => {
    const wrongZone = project('defaults: { schedule: { timezone: Nowhere } }');
    expect(await said(join(mysql(), secret('a'), secret('b')), { project: wrongZone })).toHaveLength(1);
  });
});
