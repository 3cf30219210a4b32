import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { armor, encrypt } from '../../src/age/age.ts';
import { resolveValue } from '../../src/state/values.ts';
import { person, reader, refusal, temporaryFolder, words } from './people.ts';

const ci = await person('ci');
const root = temporaryFolder();
const from = { root, env: { DB_PASSWORD: 'from-the-environment', EMPTY: '' }, identity: ci.identity };
const sealed = async (plaintext: string, recipient = ci.recipient): Promise<string> =>
  armor(await encrypt(Buffer.from(plaintext), [recipient]));

describe('a value by reference', () => {
  test('of the environment', async () => {
    expect((await resolveValue({ env: 'DB_PASSWORD' }, 'db', from)).reveal()).toBe('from-the-environment');
  });

  test.each([
    ['below the repository', 'secrets/db', 'from-a-file', 'from-a-file'],
    ['with a line feed at its end', 'lf', 'from-a-file\n', 'from-a-file'],
    ['with a carriage return too', 'crlf', 'from-a-file\r\n', 'from-a-file'],
    ['with two line feeds: one is part of the value', 'two', 'from-a-file\n\n', 'from-a-file\n'],
    ['with blanks, which stay', 'blank', ' from a file ', ' from a file '],
  ])('of a file %s', async (_, file, content, value) => {
    mkdirSync(join(root, 'secrets'), { recursive: true });
    writeFileSync(join(root, file), content);
    expect((await resolveValue({ file }, 'db', from)).reveal()).toBe(value);
    const elsewhere = { ...from, root: temporaryFolder() };
    expect((await resolveValue({ file: join(root, file) }, 'db', elsewhere)).reveal()).toBe(value);
  });

  test('sealed in the manifest', async () => {
    const value = await resolveValue({ sealed: await sealed('sealed ü value') }, 'db', from);
    expect(value.reveal()).toBe('sealed ü value');
    expect(String(value)).toBe('[secret]');
  });
});

describe('is refused with the reference, never the value:', () => {
  test.each(['MISSING', 'EMPTY'])('the variable %s', async (env) => {
    const error = await refusal(() => resolveValue({ env }, 'prod/db', from));
    expect(words(error)).toBe(
      `prod/db: the environment variable ${env} is not set | set ${env} for this run`,
    );
  });

  test.each([
    ['nowhere', 'ENOENT'],
    ['.', 'EISDIR'],
  ])('the file %s', async (file, code) => {
    const error = await refusal(() => resolveValue({ file }, 'prod/db', from));
    expect(words(error)).toBe(
      `prod/db: the file ${file} cannot be read (${code}) | create it, or correct its path in the manifest`,
    );
  });

  test('a text that is not armored', async () => {
    const error = await refusal(() => resolveValue({ sealed: 'hunter2-in-clear' }, 'prod/db', from));
    expect(error).toMatchObject({ code: 'DAMAGED', exit: 3 });
    expect(words(error)).not.toContain('hunter2');
  });

  test('one that is sealed to somebody else', async () => {
    const other = await reader();
    const text = await sealed('not-for-us', other.recipient);
    const error = await refusal(() => resolveValue({ sealed: text }, 'prod/db', from));
    expect(error).toMatchObject({ code: 'NO_IDENTITY', exit: 1 });
    expect(words(error)).toContain('prod/db');
  });
});
