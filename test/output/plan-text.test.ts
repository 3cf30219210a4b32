import { describe, expect, test } from 'vitest';
import type { Plan } from '../../src/engine/model.ts';
import { renderPlanText } from '../../src/output/plan-text.ts';
import { action, designPlan, emptyPlan } from './fixture.ts';

const plain = (plan: Plan) => renderPlanText(plan, { color: false });

const designText = `\
prod/mysql (mysql, db.internal:3306)
  ~ rotate   prod/mysql/reporting    v7 -> v8   due 3d ago (every 30d at 03:00 Europe/Berlin), old valid 24h more
  - retire   prod/mysql/billing v4              grace of 24h is over
prod/aws (aws, 123456789012)
  ! resume   prod/aws/deployer v12              interrupted 2h ago after the key was created
  = hold     prod/aws/legacy                    manual only
  @ rekey    prod/aws/ci                        reader added: bob
  ~ rotate   prod/aws/backup         v3 -> v4   reader removed: carol

plan: 2 rotate, 1 retire, 1 resume, 1 rekey, 1 held, 12 unchanged     serial 41     sha256:3fa91c02`;

describe('renderPlanText', () => {
  test("prints the design's example to the character", () => {
    expect(plain(designPlan)).toBe(designText);
  });

  test('the verbs that the example lacks, a warning, and why it is unsafe', () => {
    const plan: Plan = {
      ...designPlan,
      groups: [
        {
          target: 'lab',
          label: 'postgresql, lab:5432',
          warnings: ['TLS is disabled'],
          actions: [
            action({ verb: 'adopt', secret: 'lab/a', to: 1, reason: 'initial value given' }),
            action({ verb: 'rotate', secret: 'lab/b', to: 1, why: 'new', reason: 'new' }),
            action({ verb: 'rotate', secret: 'lab/long', from: 9, to: 10, why: 'due', reason: 'due now' }),
            action({ verb: 'block', secret: 'lab/c', from: 2, reason: 'drift: reconcile it' }),
            action({ verb: 'forget', secret: 'lab/d', from: 2, reason: 'manifest is gone' }),
          ],
        },
      ],
      unchanged: 0,
      unsafe: ['2 of 3 secrets would rotate (maxShare 0.5)', 'serial went back'],
    };
    expect(plain(plan)).toBe(`\
lab (postgresql, lab:5432)
  warning: TLS is disabled
  + adopt    lab/a      new -> v1   initial value given
  ~ rotate   lab/b      new -> v1   new
  ~ rotate   lab/long   v9 -> v10   due now
  x block    lab/c                  drift: reconcile it
  ? forget   lab/d                  manifest is gone

plan: 1 adopt, 2 rotate, 1 blocked, 1 forget, 0 unchanged     serial 41     sha256:3fa91c02
unsafe: 2 of 3 secrets would rotate (maxShare 0.5)
unsafe: serial went back
hint: read the plan, then apply with --force`);
  });

  test('without a rotation there is no version column', () => {
    const [, aws] = designPlan.groups;
    const held = aws?.actions.filter(({ verb }) => verb === 'hold') ?? [];
    const plan = {
      ...designPlan,
      groups: [{ target: 'prod/aws', label: 'aws', warnings: [], actions: held }],
    };
    expect(plain(plan).split('\n')[1]).toBe('  = hold     prod/aws/legacy   manual only');
  });

  test('a resumed version is the pending one, whether or not the plan names the current one too', () => {
    const lines = [
      action({ verb: 'resume', secret: 'a', from: 11, to: 12 }),
      action({ verb: 'resume', secret: 'a', from: 12 }),
    ];
    for (const one of lines) {
      const plan = { ...designPlan, groups: [{ target: 't', label: 'l', warnings: [], actions: [one] }] };
      expect(plain(plan).split('\n')[1]).toBe('  ! resume   a v12');
    }
  });

  test('nothing to do', () => {
    expect(plain(emptyPlan)).toBe('nothing to do: 12 secrets unchanged, next due 2026-12-01 03:00 UTC');
    expect(plain({ ...emptyPlan, unchanged: 1, nextDue: null })).toBe('nothing to do: 1 secret unchanged');
  });

  test('nothing to do still says the warnings', () => {
    const groups = [{ target: 'lab', label: 'mysql', warnings: ['TLS is disabled'], actions: [] }];
    expect(plain({ ...emptyPlan, groups, nextDue: null })).toBe(`\
lab (mysql)
  warning: TLS is disabled

nothing to do: 12 secrets unchanged`);
  });

  test('colours change no character', () => {
    const coloured = renderPlanText(designPlan, { color: true });
    const esc = String.fromCharCode(27);
    expect(coloured).toContain(`${esc}[36m~ rotate${esc}[39m`);
    expect(coloured.replaceAll(new RegExp(`${esc}\\[\\d+m`, 'gu'), '')).toBe(designText);
  });
});
