import { execFile } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { userCache } from '../machine/user-cache.ts'
import { type ControlPlane, type ControlPlaneOptions, startControlPlane } from './control-plane.ts'
import { type CrdsOptions, crdTexts, installCrds, untilServed } from './crds.ts'
import { controlPlaneProgram } from './program.ts'

const execute = promisify(execFile)

/** Templates that are kept, of all checkouts together. */
const kept = 8

/**
 * Starts a control plane that serves the kinds of KubeDB. To teach them to an API server takes much longer than to
 * start it: a new one begins with a copy of the data of one that has learned them, which is made once and kept in the
 * user's cache under a hash of the CRDs.
 *
 * @throws as {@link startControlPlane} and {@link installCrds} do
 */
export async function startControlPlaneWithKinds(
  options: ControlPlaneOptions,
  crds: CrdsOptions = {},
): Promise<ControlPlane> {
  const data = join(options.directory, 'etcd')
  // Programs of somebody else may keep their data in another way.
  const copied = !existsSync(data) && !process.env.KUBEBUILDER_ASSETS
  if (copied) {
    const template = await templateOf(options, crds)
    await mkdir(options.directory, { recursive: true, mode: 0o700 })
    await copy(template, data)
  }
  const plane = await startControlPlane(options)
  try {
    await (copied ? untilServed(plane, crds) : installCrds(plane, crds))
    return plane
  } catch (error) {
    await plane.stop()
    throw error
  }
}

/** @returns a folder with the data of an etcd, in which nobody works */
async function templateOf({ progress }: ControlPlaneOptions, crds: CrdsOptions): Promise<string> {
  const cache = join(userCache(), 'control-planes')
  const program = basename(await controlPlaneProgram(progress))
  const hash = createHash('sha256').update(program)
  for (const text of await crdTexts(crds)) hash.update(text).update('\0')
  const template = join(cache, hash.digest('hex').slice(0, 16))
  if (existsSync(template)) return template
  const directory = join(cache, `.draft-${randomUUID()}`)
  try {
    const plane = await startControlPlane({ directory, progress })
    try {
      await installCrds(plane, crds)
    } finally {
      await plane.stop()
    }
    await copy(join(directory, 'etcd'), join(directory, 'template'))
    // Another process may have made it in the meantime.
    await rename(join(directory, 'template'), template).catch((error: unknown) => {
      if (!existsSync(template)) throw error
    })
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
  await prune(cache)
  return template
}

async function prune(cache: string): Promise<void> {
  const dated = await Promise.all(
    (await readdir(cache)).map(async (name) => {
      const path = join(cache, name)
      return { path, at: (await stat(path).catch(() => undefined))?.mtimeMs ?? 0 }
    }),
  )
  for (const { path } of dated.sort((one, other) => other.at - one.at).slice(kept))
    await rm(path, { recursive: true, force: true })
}

/** etcd's files are mostly room for later: nothing of that is written. */
async function copy(from: string, to: string): Promise<void> {
  await execute('cp', ['-r', '--sparse=always', from, to])
}
