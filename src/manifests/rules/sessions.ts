/** What `spec.access` asks for beyond the schema. */
import type { Context } from '../rules.ts';

export function sessions({ targets, secrets, names, problems }: Context): void {
  for (const { document, model, written } of secrets.values()) {
    const { access: asked } = written.spec;
    const target = targets.get(model.target)?.model;
    if (asked === undefined || target === undefined) continue;
    const say = (key: string, what: string, hint: string): void =>
      problems.add(document.at(`/spec/access${key}`), model.name, what, hint);
    const { certificate, web, hosts, protocol } = asked;
    const { type } = target;
    const spoken = protocol ?? (web === undefined ? type : 'web');
    if (spoken === 'web') {
      if (web === undefined)
        say('', 'spec.access lacks web', 'add web: { url: https://… }, the address that a session opens');
      else if (!URL.canParse(web.url))
        say('/web/url', 'spec.access.web.url is no address', 'write it like https://app.internal/admin');
      else if (web.url.startsWith('http:') && target.tls.mode !== 'disable')
        say(
          '/web/url',
          'spec.access.web.url is not encrypted',
          'write https:, or tls: { mode: disable } at the target',
        );
      if (hosts !== undefined)
        say('/hosts', 'spec.access.hosts is not for web sessions', 'write the address in web.url');
    } else {
      if (spoken !== type)
        say('/protocol', `${type} does not speak ${spoken}`, 'remove protocol: the target says it');
      if (web !== undefined) say('/web', 'spec.access.web is for protocol: web', 'remove one of the two');
    }
    if (web?.auth !== 'header' && (web?.header !== undefined || web?.prefix !== undefined))
      say('/web', 'a header is named, but auth is basic', 'write auth: header, or remove header and prefix');
    if (certificate === undefined) continue;
    if (spoken !== 'ssh') say('/certificate', 'spec.access.certificate is for ssh', 'remove it');
    if (names !== undefined && !names.secrets.has(certificate.ca))
      say(
        '/certificate/ca',
        `there is no secret ${certificate.ca}`,
        'name the rotated secret whose value is the key of the authority',
      );
    if (certificate.ca === model.name)
      say('/certificate/ca', 'a credential cannot be its own authority', 'name another secret');
    if (asked.rotateAfterDisconnect !== undefined && asked.rotateAfterDisconnect !== false)
      say(
        '/rotateAfterDisconnect',
        'a session by certificate does not use the credential',
        'remove rotateAfterDisconnect: the certificate ends by itself',
      );
  }
}
