import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Plan } from '../../src/engine/model.ts';
import { KeyturnError, ManyErrors } from '../../src/errors.ts';
import { renderError } from '../../src/output/errors.ts';
import { renderPlanJson } from '../../src/output/plan-json.ts';
import { renderPlanMarkdown } from '../../src/output/plan-markdown.ts';
import { renderPlanText } from '../../src/output/plan-text.ts';
import { renderResultsMarkdown } from '../../src/output/results-markdown.ts';
import { renderTable } from '../../src/output/tables.ts';
import { renderWorkflowCommand } from '../../src/output/workflow-commands.ts';
import { Secret } from '../../src/secret.ts';
import { action, designPlan, result, terminalActive } from './fixture.ts';

/** A plan in which every text that can come from outside is `text`. */
const planOf = (text: string): Plan => ({
  ...designPlan,
  project: text,
  groups: [
    {
      target: text,
      label: text,
      warnings: [text],
      actions: [
        action({ verb: 'rotate', secret: text, target: text, to: 1, why: 'new', reason: text }),
        action({ verb: 'retire', secret: text, target: text, from: 1, reason: text }),
      ],
    },
  ],
  unsafe: [text],
});

const renderers: Record<string, (text: string) => string> = {
  'plan text': (text) => renderPlanText(planOf(text), { color: false }),
  'plan markdown': (text) => renderPlanMarkdown(planOf(text)),
  'results markdown': (text) => renderResultsMarkdown([result({ secret: text, detail: text, hint: text })]),
  table: (text) => renderTable([text], [[text, text]], { color: false }),
  error: (text) => renderError(new KeyturnError(text, text, { hint: text }), { color: false }),
  errors: (text) =>
    renderError(new ManyErrors([new KeyturnError(text, text, { hint: text })]), { color: false }),
  'workflow command': (text) =>
    renderWorkflowCommand({ name: 'error', properties: { file: text }, message: text }),
};

const hostile = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc
    .array(
      fc.constantFrom(
        '\u001b',
        '[',
        '31m',
        '2J',
        ']0;t',
        '\u0007',
        '\u009b',
        '\r',
        '\u202e',
        'a',
        '\n',
        '\u2028',
      ),
    )
    .map((parts) => parts.join('')),
);

test.each(Object.keys(renderers))('%s: no text makes a terminal act or adds a line', (name) => {
  const lines = (text: string | undefined) => text?.split('\n').length;
  const expected = lines(renderers[name]?.('a'));
  fc.assert(
    fc.property(hostile, (text) => {
      const rendered = renderers[name]?.(text);
      expect(rendered).not.toMatch(terminalActive);
      expect(lines(rendered)).toBe(expected);
    }),
  );
});

test.each(Object.keys(renderers))(
  '%s: a known value is redacted before anything is escaped or padded',
  (name) => {
    const rendered = renderers[name]?.(`is ${new Secret('hostile|100% @value\nof two lines').reveal()} here`);
    expect(rendered?.toLowerCase()).toMatch(/is (\[|&#91;)secret(\]|&#93;) here/u);
    expect(rendered?.toLowerCase()).not.toContain('hostile');
  },
);

test('plan JSON holds the names as they are: the console redacts it, since a value has its JSON form', () => {
  expect(renderPlanJson(planOf('\u001b[2J'))).not.toMatch(terminalActive);
});
