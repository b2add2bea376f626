import { list, member, shown } from './schema.ts'

/** Names that Kubernetes, KubeDB and this broker steer by; nobody may set them, whatever is configured. */
export const reserved = /(^|\.)(kubernetes\.io|k8s\.io|kubedb\.com)$/

/**
 * Labels reach pods and Services: one outside the prefixes could join a stranger's Service.
 *
 * @param metadata labels and annotations, already of the right shape
 * @param prefixes what the operator of the broker allows: `example.com` or `example.com/team-`
 * @returns what is wrong, one sentence each
 */
export function metadataMistakes(
  metadata: { [part: string]: unknown },
  prefixes: readonly string[],
  path: string,
): string[] {
  return Object.entries(metadata).flatMap(([part, names]) =>
    Object.keys(names ?? {}).flatMap((name) => {
      const mistake = nameMistake(name, prefixes)
      return mistake === undefined ? [] : [`${member(member(path, part), name)}: ${mistake}`]
    }),
  )
}

function nameMistake(name: string, prefixes: readonly string[]): string | undefined {
  const [domain = ''] = name.split('/')
  if (domain.length > 253) return 'the part before the slash has more than 253 characters'
  if (reserved.test(domain)) return `${shown(domain)} is not for users`
  if (prefixes.length === 0) return 'this broker takes no labels and annotations from users'
  const covered = prefixes.some((prefix) =>
    prefix.includes('/') ? name.startsWith(prefix) : domain === prefix,
  )
  return covered
    ? undefined
    : `must begin with ${list(prefixes.map((prefix) => (prefix.includes('/') ? prefix : `${prefix}/`)))}`
}
