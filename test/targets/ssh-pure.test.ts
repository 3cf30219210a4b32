import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { append, entriesOf, parseLine, remove } from '../../src/targets/ssh/authorized-keys.ts';
import { preflightFailure, probeFailure, refusal, setLoginFailure } from '../../src/targets/ssh/classify.ts';
import { type Kind, SshFailure } from '../../src/targets/ssh/failure.ts';
import { daysToWait, printOf, readFacts } from '../../src/targets/ssh/shadow.ts';

describe('authorized_keys', () => {
  it('reads lines as sshd does', () => {
    expect(parseLine('ssh-ed25519 AAAA me@host and more')).toEqual({
      options: '',
      type: 'ssh-ed25519',
      blob: 'AAAA',
      comment: 'me@host and more',
    });
    expect(parseLine('from="a, b",command="say \\"x y\\"" ssh-rsa BBBB c\r')).toEqual({
      options: 'from="a, b",command="say \\"x y\\"" ',
      type: 'ssh-rsa',
      blob: 'BBBB',
      comment: 'c',
    });
    for (const line of ['', '  ', '# ssh-rsa AAAA', 'ssh-rsa', 'nonsense here too', '\t#x'])
      expect(parseLine(line)).toBeUndefined();
  });

  it('gives back the same bytes after a line has come and gone', () => {
    const ours = 'ssh-ed25519 AAAAOURS keyturn/u/v1';
    const file = fc
      .array(fc.constantFrom('a', '\n', '\r\n', ' ', '#', '"', 'ssh-rsa AAAB c', '\xff', 'keyturn/u/v1'))
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(file, (before) => {
        const added = append(before, ours);
        expect(entriesOf(added).filter(({ blob }) => blob === 'AAAAOURS')).toHaveLength(1);
        expect(remove(added, ({ blob }) => blob === 'AAAAOURS')).toBe(before);
      }),
    );
  });
});

describe('what a host says', () => {
  const kinds: Kind[] = ['untrusted', 'unreachable', 'denied', 'blocked', 'restricted', 'inconclusive'];

  it('becomes exactly one class', () => {
    const classes = kinds.map((kind) => {
      const failure = new SshFailure(kind, 'CODE', 'words');
      return [kind, probeFailure(failure).r, preflightFailure(failure).r, setLoginFailure(failure).r];
    });
    expect(classes).toEqual([
      ['untrusted', 'inconclusive', 'refused', 'refused'],
      ['unreachable', 'unreachable', 'unreachable', 'not-sent'],
      ['denied', 'denied', 'refused', 'refused'],
      ['blocked', 'blocked', 'blocked', 'not-sent'],
      ['restricted', 'ok-restricted', 'refused', 'refused'],
      ['inconclusive', 'inconclusive', 'refused', 'refused'],
    ]);
  });

  it.each([
    ['You must wait longer to change your password.', 'too-soon'],
    ['Password has been already used. Choose another.', 'history'],
    ['passwd: password unchanged', 'history'],
    ['You must choose a longer password.\npasswd: password unchanged', 'policy'],
    ['BAD PASSWORD: The password fails the dictionary check', 'policy'],
    ["chpasswd: line 1: user 'x' does not exist", 'no-account'],
    ['passwd: Authentication token lock busy', 'readonly'],
    ['passwd: Authentication token manipulation error', 'bad-current'],
  ])('%j is %s', (text, why) => {
    const otherwise = { why: 'bad-current', code: 'EXIT_10', detail: 'words' } as const;
    const result = refusal(text, otherwise);
    expect(result.why).toBe(why);
    expect(result.detail).not.toContain(text);
  });
});

describe('shadow', () => {
  const facts = (line: string, day = 20_000) =>
    readFacts(['account', `shadow ${line}`, `day ${day}`, 'failures 2']);

  it('tells locked, expired and overdue apart', () => {
    expect(facts('u:$y$h:19990:0:99999:7:::')).toEqual({
      exists: true,
      failures: 2,
      shadow: { hash: '$y$h', locked: false, expired: false, mustChange: false },
    });
    expect(facts('u:!$y$h:19990:0:99999:7:::').shadow?.locked).toBe(true);
    expect(facts('u:$y$h:19990:0:99999:7::20000:').shadow?.expired).toBe(true);
    expect(facts('u:$y$h:19990:0:99999:7::20001:').shadow?.expired).toBe(false);
    expect(facts('u:$y$h:0:0:99999:7:::').shadow?.mustChange).toBe(true);
    expect(facts('u:$y$h:19000:0:30:7:::').shadow).toMatchObject({ mustChange: true, expired: false });
    expect(facts('u:$y$h:19000:0:30:7:5::').shadow?.expired).toBe(true);
    expect(facts('').shadow).toBeUndefined();
  });

  it('counts the days until a change is allowed, in either way that passwd writes a date', () => {
    const day = Date.UTC(2026, 10, 20) / 86_400_000;
    expect(daysToWait('bob P 2026-11-18 7 99999 7 -1', day)).toBe(5);
    expect(daysToWait('bob P 11/18/2026 7 99999 7 -1', day)).toBe(5);
    expect(daysToWait('bob P 2026-11-01 7 99999 7 -1', day)).toBe(0);
    expect(daysToWait('', day)).toBe(0);
  });

  it('prints a hash so that only whoever has the salt can compare', () => {
    const first = printOf('$y$h');
    expect(printOf('$y$h', first.salt)).toEqual(first);
    expect(printOf('$y$h').print).not.toBe(first.print);
    expect(printOf('$y$i', first.salt).print).not.toBe(first.print);
  });
});
