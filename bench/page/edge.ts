import type { Results } from '../results.ts'
import { median } from './format.ts'

/** @returns what the edge router adds */
export function edge({ edge }: Results): string[] {
  if (!edge) return []
  const [through, direct] = [median(edge.operation), median(edge.bare)]
  return [
    '## Edge router',
    `Where it stands before the functions, it adds ${(through - direct).toFixed(2)} ms to a request: p50 of an empty ` +
      `server ${through.toFixed(2)} ms through it, ${direct.toFixed(2)} ms without it.`,
  ]
}
