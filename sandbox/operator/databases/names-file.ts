import { writeAtomically } from '../../machine/atomic-file.ts'

/** `names.json`: which loopback address stands for `<service>.<namespace>.svc`; functions resolve through it. */
export interface NamesFile {
  /** Replaces all names of one database. */
  set(database: string, names: Readonly<Record<string, string>>): Promise<void>
  /** Removes all names of one database. */
  remove(database: string): Promise<void>
}

/** Starts an empty names file: the operator names every database again as it takes it up. */
export async function openNamesFile(file: string): Promise<NamesFile> {
  const names = new Map<string, Readonly<Record<string, string>>>()
  let written: string | undefined
  let writing = Promise.resolve()
  const save = () => {
    const text = JSON.stringify(Object.assign({}, ...names.values()), null, 2)
    if (text === written) return writing
    written = text
    writing = writing.then(() => writeAtomically(file, text))
    return writing
  }
  await save()
  return {
    async set(database, entries) {
      names.set(database, entries)
      await save()
    },
    async remove(database) {
      names.delete(database)
      await save()
    },
  }
}
