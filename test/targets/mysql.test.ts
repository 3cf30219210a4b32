import { describe } from 'vitest';
import { describeRotator } from '../conformance.ts';
import { startMariadb, startMysql } from '../servers/mysql.ts';
import { isMissing } from '../servers/mysql-installation.ts';
import { commonCases } from './mysql-cases.ts';
import { mysqlFixture } from './mysql-fixture.ts';
import { mariadbCases } from './mysql-mariadb-cases.ts';
import { oracleCases } from './mysql-oracle-cases.ts';

describe.skipIf(isMissing('mariadb'))('with a real server', () => {
  const can = { retain: { target: true, self: false }, witness: { target: true, self: false } };
  const fixture = mysqlFixture(startMariadb, can);
  describeRotator('MariaDB', fixture, () => {
    commonCases(fixture.server);
    mariadbCases(fixture.server);
  });
});

describe.skipIf(isMissing('mysql'))('with a real server', () => {
  const can = { retain: { target: true, self: true }, witness: { target: true, self: false } };
  const fixture = mysqlFixture(startMysql, can);
  describeRotator('Oracle MySQL', fixture, () => {
    commonCases(fixture.server);
    oracleCases(fixture.server);
  });
});
