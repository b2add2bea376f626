import { createHash, randomUUID } from 'node:crypto'
import { cp, mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { version as bundler } from 'esbuild'
import * as v from 'valibot'
import { buildFunctions } from '../../build.ts'
import { userCache } from '../machine/user-cache.ts'

const root = join(import.meta.dirname, '../..')

/** Builds that are kept, of all checkouts together. */
const kept = 8

/** A file of the checkout → what was in it when the bundles were made; and the programs that made them. */
const Inputs = v.record(v.string(), v.string())
type Inputs = v.InferOutput<typeof Inputs>

const inputsFile = 'inputs.json'

/**
 * The functions' bundles as `build.ts` makes them. What was once built from the same files is copied.
 *
 * @param outdir receives the bundles; earlier ones in it are removed
 * @throws when a source does not compile; the message names file and line
 */
export async function builtFunctions(outdir: string, cache = join(userCache(), 'functions')): Promise<void> {
  await rm(outdir, { recursive: true, force: true })
  for (const folder of await newestFirst(cache)) {
    if (!(await isOfToday(folder))) continue
    await cp(join(folder, 'bundles'), outdir, { recursive: true })
    await utimes(folder, new Date(), new Date())
    return
  }
  const folder = join(cache, randomUUID())
  const files = await buildFunctions(join(folder, 'bundles'))
  // Written last: a folder without it is not whole.
  await writeFile(join(folder, inputsFile), JSON.stringify(await inputsOf(['build.ts', ...files])))
  await cp(join(folder, 'bundles'), outdir, { recursive: true })
  for (const old of (await newestFirst(cache)).slice(kept)) await rm(old, { recursive: true, force: true })
}

async function newestFirst(cache: string): Promise<string[]> {
  await mkdir(cache, { recursive: true })
  const folders = (await readdir(cache)).map((name) => join(cache, name))
  const dated = await Promise.all(
    // Another run may remove one just now.
    folders.map(async (folder) => ({
      folder,
      at: (await stat(folder).catch(() => undefined))?.mtimeMs ?? 0,
    })),
  )
  return dated.sort((one, other) => other.at - one.at).map(({ folder }) => folder)
}

/** @returns whether the bundles in a folder of the cache were made from what the checkout holds now */
export async function isOfToday(folder: string): Promise<boolean> {
  try {
    const then = v.parse(Inputs, JSON.parse(await readFile(join(folder, inputsFile), 'utf8')))
    const now = await inputsOf(Object.keys(then).filter((name) => name !== programs))
    return Object.entries(now).every(([name, hash]) => then[name] === hash)
  } catch {
    return false // a file that is no longer there, say
  }
}

const programs = 'programs'

async function inputsOf(files: readonly string[]): Promise<Inputs> {
  const hashed = await Promise.all(
    files.map(async (file) => [file, hashOf(await readFile(join(root, file)))] as const),
  )
  return { ...Object.fromEntries(hashed), [programs]: `node ${process.version}, esbuild ${bundler}` }
}

const hashOf = (content: Buffer): string => createHash('sha256').update(content).digest('base64')
