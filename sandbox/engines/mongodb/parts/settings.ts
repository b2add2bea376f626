/** What a server process is told at its start, in a file that only its account can read. */
import * as v from 'valibot'
import { Credentials } from './scram.ts'
import { Topology } from './topology.ts'

export const Settings = v.object({
  /** the addresses of the members, the primary's first; of a standalone server there is one */
  addresses: v.pipe(v.array(v.string()), v.minLength(1)),
  port: v.number(),
  version: v.string(),
  topology: Topology,
  administrator: v.object({ user: v.string(), credentials: Credentials }),
  /** whether `configureFailPoint` is there */
  testCommands: v.boolean(),
  tls: v.optional(
    v.object({
      ca: v.string(),
      cert: v.string(),
      key: v.string(),
      /** refuse connections without TLS */
      required: v.boolean(),
      /** whether clients must show a certificate of the CA */
      certificates: v.picklist(['optional', 'demanded']),
    }),
  ),
})
export type Settings = v.InferOutput<typeof Settings>
