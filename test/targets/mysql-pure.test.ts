import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Target } from '../../src/targets/driver.ts';
import { classifyLogin, classifySet, failureOf } from '../../src/targets/mysql/classify.ts';
import { isAtLeast } from '../../src/targets/mysql/dialect-oracle.ts';
import { privilegesOf } from '../../src/targets/mysql/preflight.ts';
import { isSameAccount, quote } from '../../src/targets/mysql/sql.ts';
import { mysql } from '../../src/targets/mysql.ts';

const logins = ['ok', 'ok-restricted', 'denied', 'blocked', 'unreachable', 'inconclusive'];
const flavour = fc.constantFrom('mysql', 'mariadb');
const anything = fc.oneof(
  fc.record(
    { errno: fc.integer(), code: fc.string(), sql: fc.string(), message: fc.string() },
    { requiredKeys: [] },
  ),
  fc.anything(),
);

describe('classification', () => {
  it('gives every error exactly one class, and lets no text of it through', () => {
    fc.assert(
      fc.property(anything, flavour, (error, server) => {
        const marked =
          typeof error === 'object' && error !== null
            ? { ...error, sql: 'S3CRET', message: 'S3CRET' }
            : error;
        const failure = failureOf(marked, server);
        const login = classifyLogin(failure);
        const set = classifySet(failure);
        expect(logins).toContain(login.r);
        expect(['refused', 'ambiguous']).toContain(set.r);
        expect(set.r === 'refused').toBe('why' in set);
        expect(JSON.stringify([failure, failure.message, login, set])).not.toContain('S3CRET');
        expect(login.code).toMatch(/^([A-Z][A-Z0-9_]+|\d+)$/);
      }),
    );
  });

  it('never takes silence for an answer', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.constantFrom('ECONNRESET', 'PROTOCOL_CONNECTION_LOST', 'ETIMEDOUT')),
        flavour,
        (code, server) => {
          const failure = failureOf({ code, errno: -104 }, server);
          expect(classifySet(failure).r).toBe('ambiguous');
          expect(['unreachable', 'inconclusive']).toContain(classifyLogin(failure).r);
        },
      ),
    );
  });

  it.each([
    [1045, 'mysql', 'denied'],
    [1698, 'mariadb', 'denied'],
    [1862, 'mysql', 'ok-restricted'],
    [1820, 'mariadb', 'ok-restricted'],
    [3118, 'mysql', 'ok-restricted'],
    [3118, 'mariadb', 'inconclusive'],
    [4151, 'mariadb', 'ok-restricted'],
    [4151, 'mysql', 'inconclusive'],
    [3955, 'mysql', 'blocked'],
    [4150, 'mariadb', 'blocked'],
    [1040, 'mysql', 'unreachable'],
    [1129, 'mysql', 'unreachable'],
    [1130, 'mariadb', 'unreachable'],
    [1203, 'mysql', 'unreachable'],
    [1044, 'mysql', 'ok'],
    [9999, 'mysql', 'inconclusive'],
  ] as const)('a login that ends with %i of %s is %s', (errno, server, r) => {
    expect(classifyLogin(failureOf({ errno }, server))).toMatchObject({ r, code: String(errno) });
  });

  it.each([
    [1819, 'policy'],
    [3638, 'history'],
    [3891, 'bad-current'],
    [3892, 'bad-current'],
    [1227, 'permission'],
    [1044, 'permission'],
    [1142, 'permission'],
    [1290, 'readonly'],
    [1836, 'readonly'],
    [1396, 'no-account'],
  ])('a change that ends with %i is refused: %s', (errno, why) => {
    expect(classifySet(failureOf({ errno }, 'mysql'))).toMatchObject({ r: 'refused', why });
  });

  it.each([1053, 1180, 1205, 1317, 3100])('a change that ends with %i may have been applied', (errno) => {
    expect(classifySet(failureOf({ errno }, 'mysql')).r).toBe('ambiguous');
  });
});

describe('text', () => {
  it('quotes so that only the closing quote closes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const inner = quote(text).slice(1, -1);
        expect(inner.replaceAll(/\\./gs, '')).not.toMatch(/['\\\0]/);
        expect(inner.replaceAll('\\0', '\0').replaceAll(/\\(['\\])/g, '$1').length).toBeLessThanOrEqual(
          text.length,
        );
      }),
    );
  });

  it('compares accounts by user with case and by host without', () => {
    expect(isSameAccount('app@Db.Example', { username: 'app', host: 'db.example' })).toBe(true);
    expect(isSameAccount('a@b@%', { username: 'a@b', host: '%' })).toBe(true);
    expect(isSameAccount('App@%', { username: 'app', host: '%' })).toBe(false);
    expect(isSameAccount('app@127.0.0.1', { username: 'app', host: '%' })).toBe(false);
  });

  it('compares versions by number', () => {
    expect(
      ['9.7.4-2', '8.0.21', '8.4.0', '10.0.0'].map((version) => isAtLeast(version, [8, 0, 21])),
    ).not.toContain(false);
    expect(['8.0.20', '5.7.44-log', '8'].map((version) => isAtLeast(version, [8, 0, 21]))).not.toContain(
      true,
    );
  });

  it('reads global privileges and no others', () => {
    const has = privilegesOf([
      { g: 'GRANT SELECT, CREATE USER ON *.* TO `a`@`%`' },
      { g: 'GRANT UPDATE ON `x`.* TO `a`@`%`' },
    ]);
    expect([has('CREATE USER'), has('SELECT'), has('UPDATE'), has('SUPER')]).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(
      privilegesOf([{ g: "GRANT ALL PRIVILEGES ON *.* TO `a`@`%` IDENTIFIED BY PASSWORD '*00'" }])('ANY'),
    ).toBe(true);
  });
});

describe('binding', () => {
  const target: Target = {
    name: 't',
    type: 'mysql',
    host: 'db.internal',
    port: 3306,
    verifyHost: undefined,
    database: undefined,
    tls: { mode: 'verify', ca: undefined, caFile: undefined, serverName: undefined },
    credentials: undefined,
    concurrency: 8,
    timeout: 1000,
    source: { file: 'f', line: 1, column: 1 },
  };

  it('names the account with its host, a pair with a bar, and how the server is trusted', () => {
    const one = { usernames: ['app'] as [string], host: undefined };
    expect(mysql.binding(target, one)).toEqual({
      type: 'mysql',
      host: 'db.internal',
      port: 3306,
      account: 'app@%',
      tls: 'system',
    });
    const pair = { usernames: ['a', 'b'] as [string, string], host: '10.%' };
    const plain = { ...target, tls: { ...target.tls, mode: 'disable' as const } };
    expect(mysql.binding(plain, pair)).toMatchObject({ account: 'a@10.%|b@10.%', tls: 'disabled' });
    const own = { ...target, tls: { ...target.tls, ca: 'PEM' } };
    expect(mysql.binding(own, one).tls).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect([mysql.overlap(one), mysql.overlap(pair)]).toEqual(['dual', 'alternate']);
  });
});
