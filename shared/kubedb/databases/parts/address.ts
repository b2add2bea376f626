/** Addresses, names and passwords as they stand in URIs. Pure. */
import type { JsonObject } from '../../../values/json.ts'
import type { Reach } from '../database.ts'

/** @returns the host as it stands in a URI: an address of IP version 6 in brackets */
export const inUri = (host: string): string => (host.includes(':') ? `[${host}]` : host)

/** @returns `user:password@`, percent-encoded */
export const loginOf = (user: { name: string; password: string }): string =>
  `${encoded(user.name)}:${encoded(user.password)}@`

/** Encodes also the five marks that encodeURIComponent leaves, some of which some parsers stop at. */
export const encoded = (text: string): string =>
  encodeURIComponent(text).replace(
    /[!'()*]/g,
    (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  )

/** @returns every address with the port, as a list in a URI */
export const addresses = ({ hosts, port }: Reach): string =>
  hosts.map((host) => `${inUri(host)}:${port}`).join(',')

/** @returns the names of a database's pods: `<prefix>-0`, `<prefix>-1` …, each at the headless Service `<service>-pods` */
export function pods(
  { namespace }: { namespace: string },
  service: string,
  prefix: string,
  count: number,
): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${index}.${service}-pods.${namespace}.svc`)
}

/**
 * @param type as servicebinding.io knows the engine
 * @param protocol scheme of the URI; the AppsCode broker spelt its key with a capital P
 * @returns the credentials that are the same for every engine
 */
export function common(
  { host, port, hosts, caBundle }: Reach,
  user: { name: string; password: string },
  type: string,
  protocol: string,
): JsonObject {
  return {
    type,
    provider: 'kubedb',
    protocol,
    Protocol: protocol,
    host,
    port,
    hosts,
    username: user.name,
    password: user.password,
    ...(caBundle === undefined ? {} : { rootCert: caBundle }),
  }
}
