import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  admin,
  alice,
  ci,
  desired,
  join,
  manifest,
  mysql,
  project,
  said,
  secret,
  wrong,
} from './fixtures.ts';

describe('access', () => {
  const role = (recipient: string) =>
    manifest('Role', 'r', `members: [{ name: m, recipient: ${recipient} }]\nsecrets: ["**"]`);
  const hint =
    'a recipient is the public key that keyturn keygen or age-keygen prints, or a line of ~/.ssh/id_ed25519.pub';

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

describe('members', () => {
  const role = (member: string, more = '') =>
    join(mysql(), secret('a'), manifest('Role', 'r', `members: [${member}]\nsecrets: ["**"]\n${more}`));
  const folder = (text: string): string => {
    const root = mkdtempSync(path.join(tmpdir(), 'keyturn-members-'));
    mkdirSync(path.join(root, 'manifests'));
    writeFileSync(path.join(root, 'manifests', 'team.txt'), text);
    onTestFinished(() => rmSync(root, { recursive: true }));
    return root;
  };
  const ssh = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl';

  it('may have SSH keys, whose comment is not part of them', async () => {
    const { secrets } = await desired(role(`{ name: m, recipient: "${ssh} m@example.org" }`));
    expect(secrets.get('a')?.readers).toEqual([{ name: 'm', recipient: ssh }]);
  });

  it('may come from a file below manifests/, one a line', async () => {
    const root = folder(`# the team\n${alice}\n\n${ssh} somebody\n`);
    const text = role('{ name: team, recipientsFile: manifests/team.txt }');
    const { secrets } = await desired(text, { root });
    expect(secrets.get('a')?.readers).toEqual([
      { name: 'team', recipient: alice },
      { name: 'team', recipient: ssh },
    ]);
    const [bad, ...more] = await said(text, { root: folder(`${alice}\nnonsense\n`) });
    expect(bad).toContain('r: manifests/team.txt:2 is not an age recipient');
    expect(more).toEqual([]);
    expect((await said(text, { root: folder('# nobody\n') }))[0]).toContain('holds no recipient');
  });

  it.each([
    ['{ name: m, recipientsFile: ../team.txt }', 'is not below manifests/'],
    ['{ name: m, recipientsFile: manifests/../keyturn.yaml }', 'is not below manifests/'],
    ['{ name: m, recipientsFile: /etc/passwd }', 'is not below manifests/'],
    ['{ name: m, recipientsFile: manifests/none.txt }', 'names a file that does not exist'],
    [`{ name: m, recipient: ${alice}, recipientsFile: manifests/team.txt }`, 'needs one of recipient and'],
    ['{ name: m }', 'needs one of recipient and'],
    [`{ name: reconciler, recipient: ${alice} }`, 'is what keyturn calls its own keys'],
    [`{ name: m, recipient: ${alice}, expires: 2027-02-31 }`, 'spec.members[0].expires is no date'],
    [`{ name: m, recipient: ${alice}, expires: soon }`, 'expires is not written right'],
  ])('%s: %s', async (member, message) => {
    const lines = await said(role(member), { root: folder(`${alice}\n`) });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(message);
  });

  it('expire with the earlier of member and role; of two roles the longer right counts', async () => {
    const one = manifest(
      'Role',
      'one',
      `members: [{ name: m, recipient: ${alice}, expires: 2027-03-01 }]\nsecrets: ["**"]\nexpires: 2027-02-01`,
    );
    const two = manifest(
      'Role',
      'two',
      `members: [{ name: m, recipient: ${alice}, expires: "2027-02-15T12:00:00Z" }]\nsecrets: [a]`,
    );
    const { secrets } = await desired(join(mysql(), secret('a'), secret('b'), one, two));
    expect(secrets.get('b')?.readers[0]?.expires).toBe('2027-02-01T00:00:00.000Z');
    expect(secrets.get('a')?.readers[0]?.expires).toBe('2027-02-15T12:00:00.000Z');
  });

  it('that expire do not count as the one who can still decrypt', async () => {
    const lonely = manifest('Project', 'acme', `reconcilers: [${ci}]`);
    const text = role(`{ name: m, recipient: ${alice}, expires: 2099-01-01 }`);
    expect((await said(text, { project: lonely }))[0]).toContain('only one key could decrypt a');
  });
});
