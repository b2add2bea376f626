import * as v from 'valibot'
import { Shape } from './shape.ts'
import kept from './written.json' with { type: 'json' }
import type { WrittenKind } from './written.ts'

const Kept = v.array(
  v.strictObject({
    kind: v.string(),
    apiVersion: v.string(),
    plural: v.string(),
    opsKind: v.string(),
    opsPlural: v.string(),
    draft: Shape,
    defaults: Shape,
    patch: Shape,
    changes: Shape,
    users: v.exactOptional(Shape),
    removals: v.exactOptional(Shape),
    containers: v.record(v.string(), v.array(v.string())),
    lines: v.array(v.string()),
  }),
)

/** @returns what the broker writes of each kind, as the file beside this one keeps it: generate.ts makes it */
export function writtenKinds(): WrittenKind[] {
  return v.parse(Kept, kept)
}
