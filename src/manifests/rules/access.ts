/** Who can decrypt. */

import { recipientHint, recipientProblem } from '../../age/age.ts';
import { loginRefs } from '../logins.ts';
import { reconcilerName } from '../model.ts';
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
  for (const { document, written } of roles) {
    for (const [index, { recipient }] of written.spec.members.entries())
      if (recipient !== undefined) check(document, `/spec/members/${index}/recipient`, recipient);
  }
}

export function members({ roles, problems }: Context): void {
  for (const { document, written } of roles) {
    const say = (pointer: string, what: string, hint: string): void =>
      problems.add(document.at(pointer), document.subject, what, hint);
    const expiry = (pointer: string, place: string, expires: string | undefined): void => {
      if (expires !== undefined && !isMoment(expires))
        say(
          pointer,
          `${place} is no date`,
          'write a day, 2027-01-31, or a time in UTC, 2027-01-31T18:00:00Z',
        );
    };
    expiry('/spec/expires', 'spec.expires', written.spec.expires);
    for (const [index, { name, recipient, recipientsFile, expires }] of written.spec.members.entries()) {
      const [pointer, place] = [`/spec/members/${index}`, `spec.members[${index}]`];
      if ((recipient === undefined) === (recipientsFile === undefined))
        say(pointer, `${place} needs one of recipient and recipientsFile`, 'write exactly one of the two');
      if (name === reconcilerName)
        say(`${pointer}/name`, `${place}.name is what keyturn calls its own keys`, 'choose another name');
      expiry(`${pointer}/expires`, `${place}.expires`, expires);
    }
  }
}

/** A day that exists: `Date` takes 2027-02-31 for March. */
const isMoment = (written: string): boolean => {
  const moment = new Date(written);
  return !Number.isNaN(moment.getTime()) && moment.toISOString().startsWith(written.slice(0, 10));
};

/** A value that no reconciler can read: what keyturn can still do without it, and who is left to read it (protocol 9.1). */
export function blind({ targets, secrets, problems }: Context): void {
  const used = new Map<string, string>();
  for (const { model } of targets.values())
    for (const { ref } of loginRefs(model)) if ('secret' in ref) used.set(ref.secret, model.name);
  for (const { document, model } of secrets.values()) {
    if (!model.blind) continue;
    const say = (what: string, hint: string): void =>
      problems.add(document.at('/spec/blind'), model.name, what, hint);
    const { name, rotator, authenticateAs, account, grace } = model;
    const user = used.get(name);
    if (rotator === 'target' || authenticateAs === 'user')
      say(
        'an account that changes its own password cannot be blind',
        'write authenticateAs: target, so that nobody needs the old value',
      );
    else if (user !== undefined)
      say(`${user} logs in with it, so it cannot be blind`, 'give the target a login of its own');
    if (grace > 0 && account.usernames.length === 1)
      say(
        'blind and grace need two users that take turns',
        'after a crash nobody could tell which password is live: write account: { usernames: [a, b] }, or grace: 0s',
      );
    if (model.movedFrom !== undefined)
      say(
        'blind values cannot be sealed under another name',
        'keep the name, or remove movedFrom and start anew',
      );
    if (!model.readers.some((reader) => reader.expires === undefined))
      say('nobody could read it for good', 'add it to a role with a member that does not expire');
  }
}

/** The identity of a job can be lost with the job: somebody else must be able to decrypt every secret (protocol 9.1). */
export function twoRecipients({ project, secrets, problems }: Context): void {
  if (project === undefined) return;
  const alone = [...secrets.values()].filter(({ model }) => {
    if (model.blind) return false;
    const lasting = model.readers.filter((reader) => reader.expires === undefined);
    const able = [...project.model.reconcilers, ...lasting.map((reader) => reader.recipient)];
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
