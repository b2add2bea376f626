/** Containers of an image without a daemon: its layers unpacked, and runc. They share the network of the machine. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'

const Manifest = v.tuple([v.object({ Config: v.string(), Layers: v.array(v.string()) })])
const ImageConfig = v.object({
  config: v.object({
    User: v.string(),
    Env: v.array(v.string()),
    Entrypoint: v.array(v.string()),
    WorkingDir: v.string(),
    Labels: v.record(v.string(), v.string()),
  }),
})

export interface Image {
  /** the unpacked file system */
  root: string
  /** bytes of all layers */
  size: number
  config: v.InferOutput<typeof ImageConfig>['config']
  remove(): Promise<void>
}

/** @param archive a docker archive, as `buildah push docker-archive:` writes it */
export async function unpack(archive: string): Promise<Image> {
  const directory = await mkdtemp(join(tmpdir(), 'image-'))
  const root = join(directory, 'root')
  await mkdir(root)
  execFileSync('tar', ['-xf', archive, '-C', directory])
  const [manifest] = v.parse(Manifest, JSON.parse(await readFile(join(directory, 'manifest.json'), 'utf8')))
  let size = 0
  for (const layer of manifest.Layers) {
    const file = join(directory, layer)
    size += (await readFile(file)).length
    execFileSync('tar', ['-xf', file, '-C', root])
  }
  const { config } = v.parse(
    ImageConfig,
    JSON.parse(await readFile(join(directory, manifest.Config), 'utf8')),
  )
  return { root, size, config, remove: () => rm(directory, { recursive: true, force: true }) }
}

export interface Container {
  child: ChildProcess
  /** everything it printed */
  printed(): string
  /** exit code */
  ended: Promise<number | null>
  signal(name: 'TERM' | 'KILL'): void
  remove(): Promise<void>
}

export interface ContainerOptions {
  args: string[]
  environment: Readonly<Record<string, string>>
  /** read-only: source on the machine → place in the container */
  mounts: Readonly<Record<string, string>>
}

let count = 0

/** Runs the image as Pod Security `restricted` would have it: its own user, no capability, nothing to write to. */
export async function runContainer(image: Image, options: ContainerOptions): Promise<Container> {
  const bundle = await mkdtemp(join(tmpdir(), 'bundle-'))
  count += 1
  const id = `osb-${process.pid}-${count}`
  const [uid = 0, gid = 0] = image.config.User.split(':').map(Number)
  const spec = {
    ociVersion: '1.0.2',
    process: {
      user: { uid, gid },
      args: [...image.config.Entrypoint, ...options.args],
      env: [
        ...image.config.Env,
        ...Object.entries(options.environment).map(([name, value]) => `${name}=${value}`),
      ],
      cwd: image.config.WorkingDir,
      capabilities: {},
      noNewPrivileges: true,
    },
    root: { path: image.root, readonly: true },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=64k'] },
      ...Object.entries(options.mounts).map(([source, destination]) => ({
        destination,
        type: 'bind',
        source,
        options: ['rbind', 'ro'],
      })),
    ],
    linux: { namespaces: ['pid', 'ipc', 'uts', 'mount'].map((type) => ({ type })) },
  }
  await writeFile(join(bundle, 'config.json'), JSON.stringify(spec))
  const root = join(bundle, 'state')
  const child = spawn('runc', ['--root', root, 'run', '--bundle', bundle, id], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let printed = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      printed += text
    })
  }
  const ended = once(child, 'close').then(([code]): number | null => code)
  return {
    child,
    printed: () => printed,
    ended,
    signal(name) {
      execFileSync('runc', ['--root', root, 'kill', id, name])
    },
    async remove() {
      if (child.exitCode === null) child.kill('SIGKILL')
      try {
        execFileSync('runc', ['--root', root, 'delete', '--force', id], { stdio: 'ignore' })
      } catch {
        // It has ended and is gone.
      }
      await rm(bundle, { recursive: true, force: true })
    },
  }
}
