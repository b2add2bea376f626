import { mkdir, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Writes a file so that a reader sees either the old or the new content, never a part.
 *
 * @param mode who may read it; everybody by default
 */
export async function writeAtomically(file: string, text: string, mode = 0o666): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  const draft = `${file}.${process.pid}.new`
  await writeFile(draft, text, { mode })
  await rename(draft, file)
}

/** Writes a file that only its owner can read. */
export function writePrivateFile(file: string, text: string): Promise<void> {
  return writeAtomically(file, text, 0o600)
}
