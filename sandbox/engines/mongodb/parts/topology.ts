/** What a server says of itself and of the others it belongs to. */
import { Int32, ObjectId } from 'bson'
import * as v from 'valibot'
import type { Doc } from './value.ts'

/** As the operator's KubeDB object says it. */
export const Topology = v.variant('type', [
  v.object({ type: v.literal('standalone') }),
  v.object({
    type: v.literal('replicaSet'),
    name: v.string(),
    /** `host:port` of every member, the primary first */
    members: v.pipe(v.array(v.string()), v.minLength(1)),
  }),
  v.object({ type: v.literal('sharded') }),
])
export type Topology = v.InferOutput<typeof Topology>

const electionId = new ObjectId('7fffffff0000000000000001')

/**
 * @param index which of the members answers
 * @returns the part of a hello that says what kind of server this is
 */
export function roleIn(topology: Topology, index: number): Doc {
  switch (topology.type) {
    case 'standalone':
      return {}
    case 'sharded':
      return { msg: 'isdbgrid' }
    case 'replicaSet': {
      const common = {
        setName: topology.name,
        setVersion: new Int32(1),
        hosts: topology.members,
        primary: topology.members[0],
        me: topology.members[index],
        secondary: index > 0,
      }
      return index === 0 ? { ...common, electionId } : common
    }
  }
}

const wireVersions: [release: string, wire: number][] = [
  ['4.4', 9],
  ['5.0', 13],
  ['6.0', 17],
  ['7.0', 21],
  ['8.0', 25],
]

/** @returns the newest wire version that a release speaks */
export function wireVersionOf(version: string): number {
  const release = version.split('.').slice(0, 2).join('.')
  return wireVersions.find(([known]) => known === release)?.[1] ?? 25
}
