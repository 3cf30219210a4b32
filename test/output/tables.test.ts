import { expect, test } from 'vitest';
import { renderTable } from '../../src/output/tables.ts';

const rows = [
  ['prod/mysql/reporting', 'v8', '2026-11-20', ''],
  ['prod/ü', 'v12', '', 'drift'],
];

test('columns are aligned, nothing trails', () => {
  expect(renderTable(['secret', 'version', 'rotated', 'health'], rows, { color: false })).toBe(`\
SECRET                 VERSION   ROTATED      HEALTH
prod/mysql/reporting   v8        2026-11-20
prod/ü                 v12                    drift`);
});

test('without rows there is the header, longer rows than the header are kept', () => {
  expect(renderTable(['a', 'b'], [], { color: false })).toBe('A   B');
  expect(renderTable(['a'], [['1', '2']], { color: false })).toBe('A\n1   2');
});

test('cells cannot break a line, colours only mark the header', () => {
  const esc = String.fromCharCode(27);
  expect(renderTable(['a'], [['x\ny\u001b[31m']], { color: true })).toBe(`${esc}[2mA${esc}[22m\nx y`);
});
