import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Plan } from '../../src/engine/model.ts';
import { KeyturnError } from '../../src/errors.ts';
import { readPlanFile, renderPlanJson } from '../../src/output/plan-json.ts';
import { designPlan, terminalActive } from './fixture.ts';

function refusal(text: string): KeyturnError {
  try {
    readPlanFile(text, 'plan.json');
  } catch (error) {
    if (error instanceof KeyturnError) return error;
    throw error;
  }
  throw new Error('the file was accepted');
}

const changed = (change: (plan: Record<string, unknown>) => void): string => {
  const json = JSON.parse(renderPlanJson(designPlan)) as Record<string, unknown>;
  change(json);
  return JSON.stringify(json);
};

/** The design's plan with its first action changed. */
const changedAction = (over: Record<string, unknown>): string => {
  const [group, ...groups] = designPlan.groups;
  const [first, ...actions] = group?.actions ?? [];
  return JSON.stringify({
    ...designPlan,
    groups: [{ ...group, actions: [{ ...first, ...over }, ...actions] }, ...groups],
  });
};

describe('plan files', () => {
  test('are read back as written', () => {
    expect(readPlanFile(renderPlanJson(designPlan), 'plan.json')).toEqual(designPlan);
  });

  test('do not depend on the order of keys in memory', () => {
    const reverse = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(reverse);
      if (typeof value !== 'object' || value === null) return value;
      return Object.fromEntries(
        Object.entries(value)
          .reverse()
          .map(([key, inner]) => [key, reverse(inner)]),
      );
    };
    const reversed = reverse(designPlan) as Plan;
    expect(Object.keys(reversed)[0]).toBe('checksum');
    expect(renderPlanJson(reversed)).toBe(renderPlanJson(designPlan));
    expect(Object.keys(JSON.parse(renderPlanJson(reversed)) as object)[0]).toBe('format');
  });

  test('carry any text as inert ASCII escapes', () => {
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('\u009b31m', '\u202e', '##[error]x', '\u{e0041}', '\u001b]0;x\u0007'),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const json = renderPlanJson({ ...designPlan, unsafe: [text] });
        expect(json).not.toMatch(terminalActive);
        expect(json).not.toContain('##[');
        expect(readPlanFile(json, 'plan.json').unsafe).toEqual([text]);
      }),
    );
  });

  test.each([
    ['is not JSON', 'plan: 2 rotate'],
    [
      'is not a plan of format 1, the only one that this version of keyturn knows',
      changed((p) => {
        p.format = 2;
      }),
    ],
    ['is not a plan of format 1, the only one that this version of keyturn knows', '{}'],
    ['the plan must be an object', '[]'],
    [
      'the plan must be an object of format, project',
      changed((p) => {
        p.extra = 1;
      }),
    ],
    [
      'the plan must be an object of format, project',
      changed((p) => {
        delete p.serial;
        p.extra = 1;
      }),
    ],
    [
      'checksum must be sha256: and 64 hex digits',
      changed((p) => {
        p.checksum = 'sha256:3fa91c02';
      }),
    ],
    [
      'checksum must be sha256: and 64 hex digits',
      changed((p) => {
        p.checksum = `sha256:${'A'.repeat(64)}`;
      }),
    ],
    [
      'serial must be a count',
      changed((p) => {
        p.serial = -1;
      }),
    ],
    [
      'at must be an ISO time in UTC',
      changed((p) => {
        p.at = '2026-13-41T25:00:00Z';
      }),
    ],
    [
      'nextDue must be an ISO time in UTC',
      changed((p) => {
        p.nextDue = 'tomorrow';
      }),
    ],
    [
      'unsafe[0] must be a text',
      changed((p) => {
        p.unsafe = [1];
      }),
    ],
    [
      'groups must be a list',
      changed((p) => {
        p.groups = {};
      }),
    ],
    ['groups[0].actions[0].verb must be one of adopt, rotate', changedAction({ verb: 'toString' })],
    ['groups[0].actions[0].why must be one of due, new', changedAction({ why: 'because' })],
    ['groups[0].actions[0].to must be a version from 1, or null', changedAction({ to: 0 })],
    ['groups[0].actions[0].from must be a count', changedAction({ from: 1.5 })],
    ['groups[0].actions[0].secret must be a name', changedAction({ secret: '' })],
    ["groups[0].actions[0].target must be its group's target", changedAction({ target: 'prod/aws' })],
  ])('refused: %s', (what, text) => {
    const error = refusal(text);
    expect(error.message).toContain(`plan.json: `);
    expect(error.what).toContain(what);
    expect(error.hint).toBe('make it anew with keyturn plan --out plan.json');
    expect(error.exit).toBe(1);
  });

  test('a refusal says nothing of the content', () => {
    expect(JSON.stringify(refusal('hunter2-in-a-file'))).not.toContain('hunter2');
    expect(refusal(changedAction({ verb: 'hunter2' })).message).not.toContain('hunter2');
  });
});
