/** Test files that have ended, as their processes tell (test/support/title.ts), and how long each took the last time. */
import { readFileSync, watch } from 'node:fs'
import { mkdir, open, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import * as v from 'valibot'

/** A line of the file that TEST_ENDS names. */
export const EndedFile = v.object({
  /** from the root of the checkout */
  file: v.string(),
  seconds: v.number(),
})
export type EndedFile = v.InferOutput<typeof EndedFile>

export interface EndedFiles {
  /** Looks no more. */
  stop(): void
}

/**
 * @param path is made; the processes of test files append to it
 * @param ended is told of each file
 */
export async function followEndedFiles(path: string, ended: (file: EndedFile) => void): Promise<EndedFiles> {
  await (await open(path, 'a')).close()
  let read = 0
  const look = () => {
    const text = readFileSync(path, 'utf8')
    const whole = text.slice(read, text.lastIndexOf('\n') + 1)
    read += whole.length
    for (const line of whole.split('\n').filter(Boolean)) ended(v.parse(EndedFile, JSON.parse(line)))
  }
  const watcher = watch(path, look)
  return {
    stop() {
      watcher.close()
      look()
    },
  }
}

/** Seconds that test files took the last time that they ended, by name. */
const Seconds = v.record(v.string(), v.number())
export type Seconds = v.InferOutput<typeof Seconds>

/** @returns none where there is no such file, or none that can be read */
export async function readSeconds(path: string): Promise<Seconds> {
  try {
    return v.parse(Seconds, JSON.parse(await readFile(path, 'utf8')))
  } catch {
    return {}
  }
}

export async function writeSeconds(path: string, seconds: Seconds): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const draft = `${path}.${process.pid}`
  await writeFile(draft, JSON.stringify(seconds))
  await rename(draft, path)
}

/** Of a file that never ended here: those with functions take longest, unit tests next to nothing. */
const guesses: [prefix: string, seconds: number][] = [
  ['test/functions/', 30],
  ['test/cluster/', 20],
  ['test/image/', 20],
  ['test/unit/', 2],
]

export function expectedSeconds(file: string, seconds: Seconds): number {
  return seconds[file] ?? guesses.find(([prefix]) => file.startsWith(prefix))?.[1] ?? 10
}

/** @returns what takes longest first, so that no processor is left without work at the end */
export function longestFirst(files: readonly string[], seconds: Seconds): string[] {
  return files.toSorted(
    (one, other) => expectedSeconds(other, seconds) - expectedSeconds(one, seconds) || (one < other ? -1 : 1),
  )
}
