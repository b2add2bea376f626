import { isObject } from '../../values/json.ts'
import { member, shown } from './schema.ts'
import { sizes } from './sizes.ts'

/**
 * KubeDB's rules about disks. Its webhook may be unreachable and is then passed over, so the broker holds to them too.
 *
 * @param spec a whole KubeDB spec of a kind that has disks
 * @param container name of the engine's container
 * @returns what is wrong, one sentence each
 */
export function durabilityMistakes(
  spec: { [key: string]: unknown },
  container: string,
  path: string,
): string[] {
  const type = spec.storageType ?? 'Durable'
  const disks = sizes(spec, container, path).filter(({ parameter }) => parameter === 'storage')
  switch (type) {
    case 'Durable':
      if (disks.some((disk) => disk.path.endsWith('.requests.storage'))) return []
      return [
        `${member(path, 'storage')}: a durable database needs a disk; give storage.resources.requests.storage, such as "10Gi", or make storageType Ephemeral`,
      ]
    case 'Ephemeral':
      return [
        ...(isObject(spec.storage) || disks.length > 0
          ? [
              `${member(path, 'storage')}: an ephemeral database has no disk; leave it out, or make storageType Durable`,
            ]
          : []),
        ...(spec.deletionPolicy === 'Halt'
          ? [
              `${member(path, 'deletionPolicy')}: Halt keeps the disk, and an ephemeral database has none; choose Delete or WipeOut`,
            ]
          : []),
      ]
    default:
      return [`${member(path, 'storageType')}: ${shown(type)} must be "Durable" or "Ephemeral"`]
  }
}
