import { describe, expect, test } from 'vitest';
import type { Plan } from '../../src/engine/model.ts';
import { renderPlanMarkdown } from '../../src/output/plan-markdown.ts';
import { Secret } from '../../src/secret.ts';
import { action, designPlan, emptyPlan } from './fixture.ts';

const withActions = (count: number, over: Partial<Plan> = {}): Plan => ({
  ...designPlan,
  groups: ['a', 'b'].map((target) => ({
    target,
    label: 'mysql',
    warnings: [],
    actions: Array.from({ length: count }, (_, index) =>
      action({ verb: 'rotate', secret: `${target}/${index}`, from: 1, to: 2, why: 'due', reason: 'due now' }),
    ),
  })),
  ...over,
});

describe('renderPlanMarkdown', () => {
  test("the design's example", () => {
    expect(renderPlanMarkdown({ ...designPlan, groups: designPlan.groups.slice(0, 1) })).toBe(`\
<!-- keyturn plan -->

**plan: 1 rotate, 1 retire, 12 unchanged**, serial 41, \`sha256:3fa91c02\`

<b>prod/mysql</b> (mysql, db.internal:3306)

|  | action | secret | version | reason |
| --- | --- | --- | --- | --- |
| &#126; | rotate | prod/mysql/reporting | v7 -&#62; v8 | due 3d ago (every 30d at 03:00 Europe/Berlin), old valid 24h more |
| - | retire | prod/mysql/billing v4 |  | grace of 24h is over |
`);
  });

  test('nothing to do', () => {
    expect(renderPlanMarkdown(emptyPlan)).toBe(`\
<!-- keyturn plan -->

nothing to do: 12 secrets unchanged, next due 2026-12-01 03:00 UTC
`);
  });

  test('why it is unsafe stands above the counts, a warning with its target', () => {
    const plan = withActions(1, { unsafe: ['too many | at once'] });
    const groups = plan.groups.map((group) => ({ ...group, warnings: ['TLS is disabled'] }));
    expect(renderPlanMarkdown({ ...plan, groups: groups.slice(0, 1) })).toBe(`\
<!-- keyturn plan -->

> [!WARNING]
> **unsafe:** too many &#124; at once<br>
> Read the plan, then apply with \`--force\`.

**plan: 1 rotate, 12 unchanged**, serial 41, \`sha256:3fa91c02\`

<b>a</b> (mysql)

warning: TLS is disabled

|  | action | secret | version | reason |
| --- | --- | --- | --- | --- |
| &#126; | rotate | a/0 | v1 -&#62; v2 | due now |
`);
  });

  test('a table of more than ten actions is folded', () => {
    expect(renderPlanMarkdown(withActions(10))).not.toContain('<details>');
    const folded = renderPlanMarkdown(withActions(11));
    expect(folded).toContain('<details><summary><b>a</b> (mysql): 11 rotate</summary>\n\n|  | action |');
    expect(folded.match(/\n\n<\/details>\n/gu)).toHaveLength(2);
  });

  test('outside text is no markup, link, mention or issue reference', () => {
    const [group] = withActions(1).groups;
    const hostile = 'a|b <img src=x> @team #12 `c` [d](http://e) *f* \\ www.g\n\n# h \u001b[31mred\u202e';
    const plan: Plan = {
      ...designPlan,
      groups: [
        {
          target: '</summary>@org/t',
          label: '<b>',
          warnings: ['@w'],
          actions: [...(group?.actions ?? []), action({ verb: 'hold', secret: '@s', reason: hostile })],
        },
      ],
      unsafe: ['@everyone <!-- -->'],
    };
    const page = renderPlanMarkdown(plan);
    expect(page).toContain(
      '| = | hold | @&#8203;s |  | a&#124;b &#60;img src=x&#62; @&#8203;team #&#8203;12 &#96;c&#96; ' +
        '&#91;d&#93;(http:&#47;&#47;e) &#42;f&#42; &#92; www&#46;g #&#8203; h red |',
    );
    expect(page).not.toMatch(/@(?!&#8203;)/u);
    expect(page.match(/<!--/gu)).toHaveLength(1);
    expect(page).not.toContain('</summary>');
  });

  test('a value is redacted before markup is escaped or text is cut', () => {
    const value = 'pipe|and<html>@value';
    new Secret(value);
    const reason = `${'x'.repeat(490)}${value}`;
    const plan = {
      ...designPlan,
      groups: [
        {
          target: 't',
          label: value,
          warnings: [value],
          actions: [action({ verb: 'hold', secret: 's', reason })],
        },
      ],
      unsafe: [value],
    };
    const page = renderPlanMarkdown(plan);
    expect(page).not.toContain('pipe');
    expect(page.match(/&#91;secret&#93;/gu)).toHaveLength(4);
  });

  test.each([1_000, 3_000, 20_000, 60_000])(
    'cut below %i characters, saying how many are left out',
    (limit) => {
      const plan = withActions(2_000, {
        unsafe: Array.from({ length: 40 }, (_, i) => `reason ${i} ${'<'.repeat(90)}`),
      });
      const page = renderPlanMarkdown(plan, { limit });
      const rows = page.match(/^\| &#126; /gmu)?.length ?? 0;
      expect(page.length).toBeLessThanOrEqual(limit);
      expect(page.startsWith('<!-- keyturn plan -->\n')).toBe(true);
      expect(
        page.endsWith(`_${4_000 - rows} of the actions left out here: \`keyturn plan\` prints them all._\n`),
      ).toBe(true);
      expect(page.match(/<details>/gu)?.length).toBe(page.match(/<\/details>/gu)?.length);
      expect(page).toContain('more reasons<br>');
      // As much as fits is shown: one more row would not.
      if (limit >= 20_000) expect(page.length).toBeGreaterThan(limit - 200);
    },
  );

  test('60000 characters are the default limit', () => {
    expect(renderPlanMarkdown(withActions(2_000)).length).toBeGreaterThan(59_000);
    expect(renderPlanMarkdown(withActions(2_000)).length).toBeLessThanOrEqual(60_000);
  });
});
