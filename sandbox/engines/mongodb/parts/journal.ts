/** The file that outlives the process: one BSON document for each change, in order. */
import { closeSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { bytesOf, type Doc, parseDoc } from './value.ts'

export class Journal {
  readonly #file: string
  #descriptor: number

  private constructor(file: string, descriptor: number) {
    this.#file = file
    this.#descriptor = descriptor
  }

  /**
   * @param file made when absent. A last entry that a crash cut short is left out
   * @param replay called with each entry, in order
   */
  static open(file: string, replay: (entry: Doc) => void): Journal {
    for (const entry of entriesOf(file)) replay(entry)
    return new Journal(file, openSync(file, 'a', 0o600))
  }

  /** Once it returns, the change survives the end of this process, however it ends. */
  append(entry: Doc): void {
    writeSync(this.#descriptor, bytesOf(entry))
  }

  /** Replaces the whole content: what was replayed, without what has no effect any more. */
  rewrite(entries: Iterable<Doc>): void {
    const draft = `${this.#file}.new`
    const descriptor = openSync(draft, 'w', 0o600)
    for (const entry of entries) writeSync(descriptor, bytesOf(entry))
    renameSync(draft, this.#file)
    closeSync(this.#descriptor)
    this.#descriptor = descriptor
  }
}

function* entriesOf(file: string): Generator<Doc> {
  const bytes = contentOf(file)
  for (let start = 0; start + 4 <= bytes.length; ) {
    const end = start + bytes.readInt32LE(start)
    if (end > bytes.length) return
    yield parseDoc(bytes.subarray(start, end))
    start = end
  }
}

function contentOf(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return Buffer.alloc(0)
    throw error
  }
}
