/** Carries one thing out once what was asked for before has ended; says of an error what was being done. */
export type InTurn = <T>(doing: string, work: () => Promise<T>) => Promise<T>

/**
 * Calls on one connection of an administrator, one after the other.
 *
 * @param failure what the caller is told of an error
 */
export function oneAfterTheOther(failure: (error: unknown, doing: string) => unknown): InTurn {
  let last: Promise<unknown> = Promise.resolve()
  return (doing, work) => {
    const result = last.then(work).catch((error: unknown) => {
      throw failure(error, doing)
    })
    // the caller gets the error from `result`; here only the order matters
    last = result.catch(() => undefined)
    return result
  }
}
