/** A few at a time: what all begins at once keeps a machine so busy that deadlines fail. */
export type Turns = <T>(act: () => Promise<T>) => Promise<T>

/** @returns runs what it is given, at most `count` at once, in the order of asking */
export function turns(count: number): Turns {
  let free = count
  const waiting: (() => void)[] = []
  return async (act) => {
    if (free === 0) await new Promise<void>((resolve) => waiting.push(resolve))
    else free -= 1
    try {
      return await act()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else free += 1
    }
  }
}
