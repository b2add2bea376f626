import type { Kind } from './kind.ts'
import { postgres } from './kinds/postgres.ts'

/** Every kind that the operator serves, where its CRDs are installed. */
export const kinds: readonly Kind[] = [postgres]
