/**
 * Files that Kubernetes mounts from a ConfigMap or Secret change under a running process, by a swap of the `..data`
 * symlink: another file, then, under the same path. Reading one costs a stat while nothing changed.
 */
import { readFileSync, statSync } from 'node:fs'

/**
 * @param path the mounted file; may appear later
 * @param parse turns the content into a value; called once per content, however many callers wait for it
 * @returns a function that gives the value of the file as it is now. It throws what reading throws (an absent file:
 *   ENOENT) and what `parse` throws, at every call until the file is right: an old value is never used again
 */
export function mountedFile<T>(
  path: string,
  parse: (content: string, path: string) => T | Promise<T>,
): () => Promise<T> {
  let known: { version: string; content: string; value: Promise<T> } | undefined

  return async function read(): Promise<T> {
    const stat = statSync(path, { bigint: true })
    const version = [stat.dev, stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs].join(' ')
    if (known?.version === version) return known.value
    // Read after the stat: a change in between leaves an old version here, and the next call reads again.
    const content = readFileSync(path, 'utf8')
    if (known?.content === content) {
      known.version = version
      return known.value
    }
    const value = (async () => parse(content, path))()
    // Whoever awaits it sees the failure; this copy is only kept.
    value.catch(() => {})
    known = { version, content, value }
    return value
  }
}
