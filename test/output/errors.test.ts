import { describe, expect, test } from 'vitest';
import { KeyturnError, ManyErrors } from '../../src/errors.ts';
import { exitCodeOf, renderError } from '../../src/output/errors.ts';
import { annotationsOf, renderWorkflowCommand } from '../../src/output/workflow-commands.ts';
import { Secret } from '../../src/secret.ts';
import { terminalActive } from './fixture.ts';

const manifests = new ManyErrors([
  new KeyturnError('manifests/db.yaml:14:3: prod/app', 'schedule.every "30" has no unit', {
    hint: 'write 30d',
  }),
  new KeyturnError('manifests/odd, name.yaml:2:1', 'is 100% wrong'),
  new KeyturnError('keyturn.yaml', 'is missing', { hint: 'run keyturn init' }),
]);

class TokenLeak extends Error {}

describe('renderError', () => {
  test('an error of ours, with and without a hint', () => {
    const error = new KeyturnError('prod/mysql', 'does not answer', { hint: 'check that db.internal is up' });
    expect(renderError(error, { color: false })).toBe(`\
keyturn: error: prod/mysql: does not answer
keyturn: hint: check that db.internal is up`);
    expect(renderError(new KeyturnError('a', 'b'), { color: false })).toBe('keyturn: error: a: b');
  });

  test('many errors: all of them, then how many', () => {
    expect(renderError(manifests, { color: false })).toBe(`\
manifests/db.yaml:14:3: prod/app: schedule.every "30" has no unit
  hint: write 30d
manifests/odd, name.yaml:2:1: is 100% wrong
keyturn.yaml: is missing
  hint: run keyturn init
keyturn: 3 errors`);
    const one = new ManyErrors(manifests.errors.slice(2));
    expect(renderError(one, { color: false }).split('\n').at(-1)).toBe('keyturn: 1 error');
  });

  test('anything else is named by its class and says nothing of its text or stack', () => {
    const text = renderError(new TokenLeak('Bearer abc at /home/x.js:3:4'), { color: false, debug: false });
    expect(text).toBe(`\
keyturn: internal error: TokenLeak
keyturn: hint: this is a bug in keyturn, please report it with what you ran; KEYTURN_DEBUG=1 shows where it happened`);
    const first = (thrown: unknown) => renderError(thrown, { color: false }).split('\n')[0];
    expect(first('text')).toBe('keyturn: internal error: string');
    expect(first(undefined)).toBe('keyturn: internal error: undefined');
    expect(first(Object.create(null))).toBe('keyturn: internal error: object');
  });

  test('debug shows the stack, redacted', () => {
    const value = new Secret('stack-value-1234');
    const error = new TokenLeak(`refused ${value.reveal()}`);
    const text = renderError(error, { color: false, debug: true });
    expect(text).toContain('refused [secret]\n    at ');
    expect(text).not.toContain('stack-value-1234');
  });

  test('neither values nor escapes get through', () => {
    const value = new Secret('error-value-1234').reveal();
    const error = new KeyturnError(`a\u001b]0;title\u0007 ${value}`, `b\n::error::x ${value}`, {
      hint: `c\u009b2J${value}`,
    });
    expect(renderError(error, { color: false })).toBe(`\
keyturn: error: a [secret]: b ::error::x [secret]
keyturn: hint: c[secret]`);
    const many = renderError(new ManyErrors([error]), { color: false });
    expect(many).not.toContain(value);
    expect(many).not.toMatch(terminalActive);
  });

  test('colours mark the words of keyturn only', () => {
    const esc = String.fromCharCode(27);
    expect(renderError(new KeyturnError('a', 'b'), { color: true })).toBe(
      `keyturn: ${esc}[31merror:${esc}[39m a: b`,
    );
  });
});

test('exit codes', () => {
  expect(exitCodeOf(new KeyturnError('a', 'b'))).toBe(1);
  expect(exitCodeOf(new KeyturnError('a', 'b', { exit: 75 }))).toBe(75);
  expect(exitCodeOf(new KeyturnError('a', 'b', { exit: 3 }))).toBe(3);
  expect(exitCodeOf(manifests)).toBe(1);
  expect(exitCodeOf(new TypeError('x'))).toBe(1);
  expect(exitCodeOf('thrown text')).toBe(1);
});

describe('annotations', () => {
  test('one an error, at its place, escaped', () => {
    expect(annotationsOf(manifests).map(renderWorkflowCommand)).toEqual([
      '::error file=manifests/db.yaml,line=14,col=3::prod/app: schedule.every "30" has no unit%0Ahint: write 30d',
      '::error file=manifests/odd%2C name.yaml,line=2,col=1::is 100%25 wrong',
      '::error::keyturn.yaml: is missing%0Ahint: run keyturn init',
    ]);
    expect(annotationsOf(new KeyturnError('a.yaml:3', 'b')).map(renderWorkflowCommand)).toEqual([
      '::error file=a.yaml,line=3::b',
    ]);
    expect(annotationsOf(new TypeError('x'))).toEqual([]);
  });

  test('a message cannot start a second command, a property cannot add another', () => {
    const value = new Secret('100%\nannotation').reveal();
    expect(
      renderWorkflowCommand({
        name: 'warning',
        properties: { file: 'a,line=9::x\n::set-env name=A::b' },
        message: `50%\r\n::add-mask::x\u001b[2J ${value}`,
      }),
    ).toBe('::warning file=a%2Cline=9%3A%3Ax %3A%3Aset-env name=A%3A%3Ab::50%25%0A::add-mask::x [secret]');
  });
});
