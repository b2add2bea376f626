/** Numbers as the page shows them. */
import { quantile, spreadOf } from '../statistics.ts'

export const times = (ratio: number): string => `${ratio.toFixed(1)} ×`

export const milliseconds = (value: number): string => value.toFixed(Math.abs(value) < 10 ? 1 : 0)

export const median = (values: readonly number[]): number => quantile(values, 0.5)

/** min / median / max */
export function spread(values: readonly number[]): string {
  const { min, median, max } = spreadOf(values)
  return [min, median, max].map(milliseconds).join(' / ')
}
