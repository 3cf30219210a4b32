/** Where a credential may be sent (threat A1): what is recorded of it against what a manifest says now. PURE. */
import type { Binding } from '../state/model.ts';

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
