import { rename, writeFile } from 'node:fs/promises'

/** Writes a file that only its owner can read; whoever reads it meanwhile sees the old content or the new, whole. */
export async function writePrivateFile(file: string, content: string): Promise<void> {
  await writeFile(`${file}.new`, content, { mode: 0o600 })
  await rename(`${file}.new`, file)
}
