/** Who can decrypt. */
import { recipientHint, recipientProblem } from '../../age/age.ts';
import type { ManifestDocument } from '../parse.ts';
import type { Context } from '../rules.ts';

/** Never repeats a recipient: a secret key may have been pasted by mistake. */
export function recipients({ project, roles, problems }: Context): void {
  const check = (document: ManifestDocument, pointer: string, recipient: string): void => {
    const problem = recipientProblem(recipient);
    const place = pointer
      .slice(1)
      .replaceAll(/\/(\d+)/g, '[$1]')
      .replaceAll('/', '.');
    if (problem !== null)
      problems.add(document.at(pointer), document.subject, `${place} ${problem}`, recipientHint);
  };
  if (project !== undefined) {
    for (const [index, recipient] of project.model.reconcilers.entries())
      check(project.document, `/spec/reconcilers/${index}`, recipient);
    for (const [index, recipient] of project.model.planners.entries())
      check(project.document, `/spec/planners/${index}`, recipient);
  }
  for (const { document, model } of roles) {
    for (const [index, member] of model.members.entries())
      check(document, `/spec/members/${index}/recipient`, member.recipient);
  }
}

/** The identity of a job can be lost with the job: somebody else must be able to decrypt every secret (protocol 9.1). */
export function twoRecipients({ project, secrets, problems }: Context): void {
  if (project === undefined) return;
  const alone = [...secrets.values()].filter(({ model }) => {
    const able = [...project.model.reconcilers, ...model.readers.map((reader) => reader.recipient)];
    return new Set(able).size < 2;
  });
  const [first] = alone;
  if (first === undefined) return;
  const others = alone.length === 1 ? '' : ` and ${alone.length - 1} more`;
  problems.add(
    project.document.at('/spec/reconcilers'),
    project.model.name,
    `only one key could decrypt ${first.model.name}${others}`,
    'add an offline admin key to spec.reconcilers',
  );
}
