/** What a manifest calls the secret part of a credential: of an access key (`issued` is set) otherwise than of a login. */
export const valueKey = (issued: object | undefined): 'secretAccessKey' | 'password' =>
  issued === undefined ? 'password' : 'secretAccessKey';
