/** KubeDB's catalog of versions as the sandbox has it, as the broker reads it from a cluster. */
import { readFileSync } from 'node:fs'
import * as v from 'valibot'
import { parse } from 'yaml'
import type { VersionFacts } from '../../shared/kubedb/instances/versions.ts'

const Ranges = v.union([v.array(v.string()), v.record(v.string(), v.array(v.string()))])
const Seeds = v.record(
  v.string(),
  v.array(
    v.object({
      name: v.string(),
      version: v.string(),
      distribution: v.optional(v.string()),
      // KubeDB states none for RabbitMQ
      updateConstraints: v.optional(
        v.object({ allowlist: v.optional(Ranges, []), denylist: v.optional(Ranges, []) }),
        {},
      ),
    }),
  ),
)

const file = new URL('../../sandbox/crds/versions.yaml', import.meta.url)
let seeds: v.InferOutput<typeof Seeds> | undefined

/** @returns every version of a kind */
export function catalogVersions({ kind }: { kind: string }): VersionFacts[] {
  seeds ??= v.parse(Seeds, parse(readFileSync(file, 'utf8')))
  return (seeds[`${kind}Version`] ?? []).map(({ name, version, distribution, updateConstraints }) => ({
    name,
    version,
    distribution,
    baseOS: undefined,
    deprecated: false,
    allow: updateConstraints.allowlist,
    deny: updateConstraints.denylist,
  }))
}
