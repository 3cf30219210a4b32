/** Where a credential may be sent (threat A1): what is recorded of it against what a manifest says now. PURE. */
import { sessionPlaces } from '../manifests/access.ts';
import type { RotatedSecret, Target } from '../manifests/model.ts';
import type { Binding } from '../state/model.ts';
import type { Driver } from '../targets/registry.ts';

/** What a secret is bound to by what its manifest says. */
export function boundTo(driver: Driver, target: Target, secret: RotatedSecret): Binding {
  const sessions = sessionPlaces(secret.access);
  return { ...driver.binding(target, secret.account), ...(sessions === undefined ? {} : { sessions }) };
}

/** Where sessions would take it that nobody has allowed yet, in words; null when there is no such place. Fewer is no change. */
export function newPlaces(was: Binding, is: Binding | undefined): string | null {
  const allowed = new Set((was.sessions ?? '').split(' '));
  const added = (is?.sessions ?? '').split(' ').filter((place) => place !== '' && !allowed.has(place));
  return added.length === 0 ? null : `sessions may now go to ${added.join(', ')}`;
}

/** How a secret's own binding differs, in words; null when it does not. */
export const bindingChange = (was: Binding, is: Binding | undefined): string | null =>
  change(was, is, ['type', 'host', 'port', 'account', 'tls']);

/** The same of the endpoint alone, for a credential that another account's change is made with. */
export const endpointChange = (was: Binding, is: Binding | undefined): string | null =>
  change(was, is, ['type', 'host', 'port', 'tls']);

function change(was: Binding, is: Binding | undefined, keys: readonly (keyof Binding)[]): string | null {
  if (!is) return null;
  const changes = keys
    .filter((key) => was[key] !== is[key])
    .map((key) => `${key} changed from ${was[key]} to ${is[key]}`);
  return changes.length > 0 ? changes.join(', ') : null;
}
