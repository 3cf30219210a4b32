/** What is written of web targets and their rotators -> model. */
import type { CustomRotation, WebTarget } from './model.ts';
import type { WrittenDefaults, WrittenSecret, WrittenTarget } from './written.ts';

/** One that is no url is a rule's business. */
export const addressOf = (url: string | undefined): URL | undefined =>
  url !== undefined && URL.canParse(url) ? new URL(url) : undefined;

export function toWeb({ url, tls, ...spec }: WrittenTarget['spec']): WebTarget {
  const { certificate, key } = tls ?? {};
  return {
    path: addressOf(url)?.pathname ?? '/',
    header: spec.header ?? 'KeyturnCreds',
    audience: spec.audience ?? url ?? '',
    accessId: spec.accessId,
    authenticate: spec.authenticate ?? 'keyturn',
    allowAddresses: spec.allowAddresses ?? [],
    client: certificate && key && { certificate, key },
  };
}

/** A mapping is sent as the JSON that it is. Who needs the current value changes the account as the account itself. */
export function toCustom({ spec }: WrittenSecret, common: WrittenDefaults): CustomRotation {
  const { payload = '' } = spec;
  return {
    payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
    generate: spec.generate ?? 'ours',
    operations: (spec.operations ?? []).filter((operation) => operation !== 'rotate'),
    replays: spec.replays ?? false,
    acceptLossWindow: spec.acceptLossWindow ?? false,
    hasPolicy: (spec.passwordPolicy ?? common.passwordPolicy) !== undefined,
  };
}
