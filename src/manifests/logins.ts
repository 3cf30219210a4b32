/** Every value that logging in to a target takes, with the place in the manifest that refers to it. */
import type { Target, ValueRef } from './model.ts';

export interface LoginRef {
  pointer: string;
  ref: ValueRef;
}

export function loginRefs(target: Target | undefined): LoginRef[] {
  const places = [
    ['/spec/credentials', target?.credentials],
    ['/spec/jump', target?.ssh?.jump],
  ] as const;
  return places.flatMap(([place, login]) =>
    (['password', 'privateKey', 'passphrase'] as const).flatMap((key) => {
      const ref = login?.[key];
      return ref === undefined ? [] : [{ pointer: `${place}/${key}`, ref }];
    }),
  );
}
