import type { Action } from '../engine/model.ts';

/** `prod/mysql/billing v4` where one version is acted on, the bare name elsewhere. */
export function subjectOf(action: Action): string {
  const version =
    action.verb === 'retire' || action.verb === 'verify'
      ? action.from
      : action.verb === 'resume'
        ? (action.to ?? action.from)
        : null;
  return version === null ? action.secret : `${action.secret} v${version}`;
}

/** `v7 -> v8` or `new -> v1` where another version becomes current, empty elsewhere. */
export function changeOf(action: Action): string {
  if ((action.verb !== 'rotate' && action.verb !== 'adopt') || action.to === null) return '';
  return `${action.from === null ? 'new' : `v${action.from}`} -> v${action.to}`;
}
