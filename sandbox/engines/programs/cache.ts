/** Where the servers' programs come from: fetched once, kept for every later run. */
import { chmod, lstat, mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** Milliseconds after which what an unpacking left behind belongs to nobody any more. */
const abandoned = 60 * 60 * 1000

const draft = '.draft-'

/**
 * The folder for server programs that were fetched once and serve every later run. It lies where the engines' account
 * can reach it, which a home directory need not be.
 *
 * @param folder made when absent
 * @throws {Error} when it belongs to somebody else, who could put other programs there
 */
export async function programCache(
  folder = `/var/tmp/kubedb-service-broker-${process.getuid?.() ?? 'programs'}`,
): Promise<string> {
  await mkdir(folder, { recursive: true, mode: 0o755 })
  const state = await lstat(folder)
  const own = process.getuid === undefined || state.uid === process.getuid()
  if (!state.isDirectory() || !own || (state.mode & 0o022) !== 0) {
    throw new Error(
      `${folder} is for programs that this account runs, but others can write to it: remove it, it is made anew`,
    )
  }
  // Whatever our umask made of it.
  await chmod(folder, 0o755)
  for (const name of (await readdir(folder)).filter((one) => one.startsWith(draft))) {
    const path = join(folder, name)
    const left = await stat(path).catch(() => undefined)
    if (left !== undefined && Date.now() - left.mtimeMs > abandoned) await rm(path, { recursive: true })
  }
  return folder
}

/** @returns a path inside the cache for something unfinished; renamed to its place once whole */
export function draftIn(cache: string, id: string): string {
  return join(cache, `${draft}${id}`)
}

/** Renames a finished draft to its place; where another process was first, its work is as good. */
export async function settle(draft: string, folder: string): Promise<void> {
  try {
    await rename(draft, folder)
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    if (!(error instanceof Error && 'code' in error && /^(EEXIST|ENOTEMPTY)$/.test(String(error.code))))
      throw error
  }
}
