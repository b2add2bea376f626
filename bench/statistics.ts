/** Numbers of several runs, as a table shows them. */
export interface Spread {
  min: number
  median: number
  max: number
}

/** @throws {RangeError} for no values at all */
export function spreadOf(values: readonly number[]): Spread {
  return { min: quantile(values, 0), median: quantile(values, 0.5), max: quantile(values, 1) }
}

/**
 * @param share between 0 and 1; 0.5 is the median
 * @returns interpolated between the two nearest values
 * @throws {RangeError} for no values at all
 */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other)
  const at = share * (sorted.length - 1)
  const below = sorted[Math.floor(at)]
  const above = sorted[Math.ceil(at)]
  if (below === undefined || above === undefined) throw new RangeError('there is no quantile of no values')
  return below + (above - below) * (at - Math.floor(at))
}

/** @returns one ratio for each pair of runs that were made side by side */
export function ratios(values: readonly number[], bases: readonly number[]): number[] {
  return values.flatMap((value, index) => {
    const base = bases[index]
    return base === undefined ? [] : [value / base]
  })
}
