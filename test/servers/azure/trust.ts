import tls from 'node:tls';

/** This process trusts the double from now on; other processes by `NODE_EXTRA_CA_CERTS`. */
export const trust = (caPem: string): void =>
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), caPem]);
