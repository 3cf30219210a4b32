/** `spec.hosts`: one document that stands for the same account on several targets. */
import type { ManifestDocument } from './parse.ts';
import type { Problems } from './problems.ts';
import type { Manifest } from './schema.ts';
import type { WrittenSecret } from './written.ts';

/** A rotated secret, and the name that its document has where that stands for several. */
export interface Spread extends Manifest<WrittenSecret> {
  family?: string;
}

/** What a host is called within its family: the last segment of its target's name. */
export const hostLabel = (target: string): string => target.slice(target.lastIndexOf('/') + 1);

/** One rotated secret a host, named `NAME/HOST`; the document itself where it names one target. */
export function spread({ document, written }: Manifest<WrittenSecret>, problems: Problems): Spread[] {
  const { metadata, spec } = written;
  const { hosts, ...rest } = spec;
  if (hosts === undefined) return [{ document, written }];
  if (spec.target !== undefined)
    problems.add(
      document.at('/spec/hosts'),
      document.subject,
      'spec has both target and hosts',
      'keep hosts for several targets, else target',
    );
  const labels = new Set<string>();
  return hosts.flatMap((target, index): Spread[] => {
    const label = hostLabel(target);
    const place = `/spec/hosts/${index}`;
    if (labels.has(label)) {
      problems.add(
        document.at(place),
        document.subject,
        `two of spec.hosts end in ${label}`,
        'rename one of these targets: the end of its name tells the hosts apart',
      );
      return [];
    }
    labels.add(label);
    const name = `${metadata.name}/${label}`;
    const movedFrom = rest.movedFrom === undefined ? {} : { movedFrom: `${rest.movedFrom}/${label}` };
    return [
      {
        family: metadata.name,
        document: {
          ...document,
          subject: name,
          at: (pointer) => document.at(pointer === '/spec/target' ? place : pointer),
        },
        written: { ...written, metadata: { ...metadata, name }, spec: { ...rest, ...movedFrom, target } },
      },
    ];
  });
}

/** Names of the secrets that a document declares, right or wrong. */
export function secretNames({ subject, value }: ManifestDocument): string[] {
  const { hosts } = (value as { spec?: { hosts?: unknown } | null } | null)?.spec ?? {};
  if (!Array.isArray(hosts)) return [subject];
  return hosts.filter((host) => typeof host === 'string').map((host) => `${subject}/${hostLabel(host)}`);
}
