/**
 * @param make what is needed once, and takes long
 * @returns answers what was made. A failure (no network, a full disk) is told once per call and tried anew at the next
 */
export function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make()
    made.catch(() => {
      made = undefined
    })
    return made
  }
}
