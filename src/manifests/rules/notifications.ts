/** Channels and who listens on them. */
import { misfits } from '../channels.ts';
import type { Context } from '../rules.ts';

const examples = {
  url: 'url: { env: OPS_WEBHOOK }',
  from: 'from: keyturn@example.org',
  to: 'to: [ops@example.org]',
  token: 'token: { env: GITHUB_TOKEN }',
  signingKey: 'signingKey: { env: OPS_KEY }',
  repository: 'repository: owner/name',
} as const;

export function channelShapes({ project, problems }: Context): void {
  if (project === undefined) return;
  for (const [name, channel] of Object.entries(project.written.spec.channels ?? {})) {
    const { missing, foreign } = misfits(channel);
    for (const key of missing)
      problems.add(
        project.document.at(`/spec/channels/${name}`),
        project.document.subject,
        `spec.channels.${name} has no ${key}, which a channel of type ${channel.type} needs`,
        `add ${examples[key]}`,
      );
    for (const key of foreign)
      problems.add(
        project.document.at(`/spec/channels/${name}/${key}`),
        project.document.subject,
        `spec.channels.${name}.${key} means nothing to a channel of type ${channel.type}`,
        'remove it',
      );
  }
}

/** Names of `notify.channels`, the project's defaults included. */
export function leadTimes({ secrets, problems }: Context): void {
  for (const { document, model } of secrets.values()) {
    const { before, channels } = model.notify;
    const interval = model.schedule.everyDays * 86_400_000;
    for (const [index, lead] of before.entries()) {
      if (lead < interval) continue;
      problems.add(
        document.at(`/spec/notify/before/${index}`),
        model.name,
        `spec.notify.before tells of a rotation before the one before it, every ${model.schedule.everyDays}d`,
        'write a shorter lead time',
      );
    }
    if (before.length > 0 && channels.length === 0)
      problems.add(
        document.at('/spec/notify/before'),
        model.name,
        'spec.notify.before has nobody to tell',
        'add channels: [NAME], declared under spec.channels in keyturn.yaml',
      );
  }
}
