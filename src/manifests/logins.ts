/** Every value that logging in to a target takes, with the place in the manifest that refers to it. */
import type { Target, ValueRef } from './model.ts';
import { loginKey } from './values.ts';

export interface LoginRef {
  pointer: string;
  ref: ValueRef;
}

export function loginRefs(target: Target | undefined): LoginRef[] {
  if (target === undefined) return [];
  const places = [
    ['/spec/credentials', target.credentials],
    ['/spec/jump', target.ssh?.jump],
  ] as const;
  const { certificate, key } = target.web?.client ?? {};
  const shown: LoginRef[] = [
    ...(certificate === undefined ? [] : [{ pointer: '/spec/tls/certificate', ref: certificate }]),
    ...(key === undefined ? [] : [{ pointer: '/spec/tls/key', ref: key }]),
  ];
  const logins = places.flatMap(([place, login]) =>
    (['password', 'privateKey', 'passphrase'] as const).flatMap((key) => {
      const ref = login?.[key];
      const written = key === 'password' ? loginKey(target) : key;
      return ref === undefined ? [] : [{ pointer: `${place}/${written}`, ref }];
    }),
  );
  return [...logins, ...shown];
}
