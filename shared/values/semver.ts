const number = '(0|[1-9][0-9]*)'
const identifier = '(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)'
const semver = new RegExp(
  `^${number}\\.${number}\\.${number}(-${identifier}(\\.${identifier})*)?(\\+[0-9A-Za-z-]+(\\.[0-9A-Za-z-]+)*)?$`,
)
const short = new RegExp(`^${number}(\\.${number})?$`)

/**
 * An engine's version as OSB wants it in maintenance_info (semantic version 2.0.0).
 *
 * @param version `18`, `18.3`, `8.4.8` or a complete semantic version
 * @returns `18.0.0`, `18.3.0`, `8.4.8`; undefined for anything else, such as `v18` or `18.03`
 */
export function semverOf(version: string): string | undefined {
  if (semver.test(version)) return version
  if (!short.test(version)) return undefined
  return version.includes('.') ? `${version}.0` : `${version}.0.0`
}

/**
 * @param name of a KubeDB *Version object
 * @returns who made the engine, as the name begins: `xpack`, `opensearch`, `valkey`; '' where it begins with the version
 */
export function distribution(name: string): string {
  return /^([a-z][a-z0-9]*)-/.exec(name)?.[1] ?? ''
}

/**
 * @param name of a KubeDB *Version object
 * @returns the engine's version as semver; undefined where the name, such as 16.13-bookworm, does not tell it
 */
export function engineVersion(name: string): string | undefined {
  const found = /^(?:[a-z][a-z0-9]*-)?([0-9]+(\.[0-9]+)*)$/.exec(name)?.[1]
  return found === undefined ? undefined : semverOf(found)
}
